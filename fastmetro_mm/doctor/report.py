# SPDX-License-Identifier: Apache-2.0
"""Runs all checks and prints them."""

import json
from dataclasses import asdict

from fastmetro_mm.doctor import bodies, drawing, software
from fastmetro_mm.doctor.finding import Finding

_SIGNS = {'ok': 'ok     ', 'note': 'note   ', 'problem': 'PROBLEM'}


def examine(body_data_root: str | None = None) -> list[Finding]:
    """Run all checks; takes some seconds.

    Args:
        body_data_root: Folder with official body files, see :func:`bodies.check_bodies`.

    Returns:
        The findings in the order in which they should be fixed.
    """
    return [
        software.check_python(),
        *software.check_modules(),
        software.check_mmcv_ops(),
        software.check_torchvision_ops(),
        software.check_cuda(),
        software.check_package(),
        software.check_configs(),
        *drawing.check_drawing(),
        *bodies.check_bodies(body_data_root),
    ]


def exit_code(findings: list[Finding]) -> int:
    """1 if something stops training or inference on the open body, else 0."""
    return int(any(finding.state == 'problem' for finding in findings))


def as_text(findings: list[Finding]) -> str:
    """The report for people."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f'{_SIGNS[finding.state]} {finding.name:<{width}}  {finding.detail}')
        if finding.fix:
            lines.append(f'{"":{width + 8}}  fix: {finding.fix}')
    problems = sum(finding.state == 'problem' for finding in findings)
    notes = sum(finding.state == 'note' for finding in findings)
    verdict = (
        f'{problems} problem(s) stop training and inference'
        if problems
        else 'training and inference on the open body can run'
    )
    lines.append(f'{verdict}; {notes} optional thing(s) missing')
    return '\n'.join(lines)


def as_json(findings: list[Finding]) -> str:
    """The report for programs: ``ok`` and the list ``findings``."""
    return json.dumps(
        dict(ok=exit_code(findings) == 0, findings=[asdict(finding) for finding in findings]),
        indent=2,
    )
