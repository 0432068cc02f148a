# SPDX-License-Identifier: Apache-2.0
"""Checking all rows of a set in parallel, and the report about it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from fastmetro_mm.dataset_tools.inspection.browse import build_pipelines, sample_tiles
from fastmetro_mm.dataset_tools.inspection.label_mesh import LabelMesh
from fastmetro_mm.dataset_tools.inspection.row_checks import PROBLEMS, RowFacts, check_row
from fastmetro_mm.datasets.mesh_dataset import MeshTSVDataset
from fastmetro_mm.datasets.worker_pool import run_jobs
from fastmetro_mm.errors import ConfigError, DataRowError
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.visualization.contact_sheet import write_contact_sheet
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer

_CHUNK = 64
_PERCENTILES = (0, 5, 50, 95, 100)
_LISTED = 20  # rows named per kind of problem in the text; the json names all
_ERRORS = ('unusable',)


@dataclass
class SetReport:
    """What was found in a set."""

    yaml_path: str  # the set
    kind: str  # ``'smpl'`` or ``'hand'``
    body: str | None  # body model that meshes were checked with, or None
    num_rows: int  # samples of the set
    num_checked: int = 0  # different rows opened (a composite set may pick a row several times)
    # share of the readable rows with each label
    flags: dict[str, float] = field(default_factory=dict)
    genders: dict[str, int] = field(default_factory=dict)  # rows by gender
    # percentiles 0, 5, 50, 95 and 100 of each measurement
    numbers: dict[str, list[float]] = field(default_factory=dict)
    # per kind, index, key and detail of each row
    problems: dict[str, list[tuple[int, str, str]]] = field(default_factory=dict)

    @property
    def num_unusable(self) -> int:
        """Rows that cannot be read."""
        return sum(len(self.problems.get(name, ())) for name in _ERRORS)

    def text(self) -> str:
        """The report as lines."""
        lines = [
            f'{self.yaml_path}: {self.num_rows} samples, {self.num_checked} different rows '
            f'opened, {self.num_unusable} unusable',
            'labels: '
            + ', '.join(f'{name} {100 * share:.1f} %' for name, share in self.flags.items()),
            'gender: ' + ', '.join(f'{k} {v}' for k, v in self.genders.items()),
            f'meshes checked with: {self.body or "nothing (no body model at hand)"}',
            f'{"":18}' + ''.join(f'{f"{p} %":>11}' for p in _PERCENTILES),
        ]
        lines += [
            f'{name:18}' + ''.join(f'{value:11.4g}' for value in values)
            for name, values in self.numbers.items()
        ]
        for name, rows in self.problems.items():
            lines.append(f'{len(rows)} rows: {PROBLEMS[name]}')
            lines += [
                f'    {index}: {key} {detail}'.rstrip() for index, key, detail in rows[:_LISTED]
            ]
            if len(rows) > _LISTED:
                lines.append(f'    ... and {len(rows) - _LISTED} more, see the json')
        if not self.problems:
            lines.append('no problems found')
        return '\n'.join(lines)

    def write_json(self, path: str | Path) -> Path:
        """Write everything as json, through a temporary name."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(asdict(self), indent=1, allow_nan=False).encode())
        return path


def _check_rows(dataset: MeshTSVDataset, mesh: LabelMesh, indices: list[int]) -> list[RowFacts]:
    return [check_row(dataset, index, mesh) for index in indices]


def check_set(
    yaml_path: str | os.PathLike,
    kind: str,
    mesh: LabelMesh,
    workers: int = 1,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SetReport:
    """Open every row of a set.

    Args:
        yaml_path: The set.
        kind: ``'smpl'`` or ``'hand'``.
        mesh: Poses the labelled meshes.
        workers: Number of processes.
        limit: Check only so many rows, spread over the set.
        progress: Called with (rows done, rows in all).

    Raises:
        FileNotFoundError: A file is missing.
        DataSetError: The set as a whole is unusable.
    """
    dataset = MeshTSVDataset(str(yaml_path), body=kind, on_error='raise')
    different = {dataset.where(index): index for index in reversed(range(len(dataset)))}
    indices = sorted(different.values())
    if limit is not None and limit < 1:
        raise ConfigError(f'limit is {limit}, expected 1 or more')
    if limit is not None and limit < len(indices):
        indices = [
            indices[i] for i in np.unique(np.linspace(0, len(indices) - 1, limit).astype(int))
        ]
    chunks = [indices[start : start + _CHUNK] for start in range(0, len(indices), _CHUNK)]
    rows: list[RowFacts] = []
    with closing(run_jobs(_check_rows, (dataset, mesh), chunks, workers, ordered=True)) as results:
        for facts in results:
            rows.extend(facts)
            if progress:
                progress(len(rows), len(indices))
    report = SetReport(str(yaml_path), kind, mesh.body, len(dataset), len(rows))
    summarize(report, rows)
    return report


def summarize(report: SetReport, rows: list[RowFacts]) -> None:
    """Fill a report from the facts of its rows."""
    first: dict[bytes, int] = {}
    found: dict[str, list[tuple[int, str, str]]] = {}
    for facts in rows:
        if facts.digest:
            earlier = first.setdefault(facts.digest, facts.index)
            if earlier != facts.index:
                facts.problems.append('duplicate')
        for name in facts.problems:
            detail = facts.error or _detail(name, facts)
            if name == 'damaged':
                detail = facts.damage
            if name == 'duplicate':
                detail = f'as sample {first[facts.digest]}'
            found.setdefault(name, []).append((facts.index, facts.key, detail))
    report.problems = {name: found[name] for name in PROBLEMS if name in found}
    readable = [facts for facts in rows if facts.error is None]
    report.genders = dict(Counter(facts.gender for facts in readable).most_common())
    names = dict.fromkeys(name for facts in readable for name in facts.numbers)
    for name in names:
        values = np.array([facts.numbers[name] for facts in readable if name in facts.numbers])
        if name.startswith('has_'):
            report.flags[name] = float(values.mean())
        else:
            report.numbers[name] = np.percentile(values, _PERCENTILES).tolist()


_MEASURED = {
    'box_size': 'box_side',
    'joints_outside': 'outside_image',
    'projection': 'projection_error',
    'mesh': 'mesh_error_mm',
    'betas': 'largest_beta',
}


def _detail(problem: str, facts: RowFacts) -> str:
    name = _MEASURED.get(problem)
    return f'{name} {facts.numbers[name]:.3g}' if name else ''


def write_report_sheet(
    report: SetReport, mesh: LabelMesh, path: str | Path, count: int = 12
) -> Path | None:
    """Images of the rows with problems, and of good ones where there is room.

    Args:
        report: The report.
        mesh: Poses the labelled meshes.
        path: Image file to write.
        count: Samples on it.

    Returns:
        The file, or None where no row can be shown.
    """
    dataset = MeshTSVDataset(report.yaml_path, body=report.kind, on_error='raise')
    labels: dict[int, str] = {}
    shown = {name: rows for name, rows in report.problems.items() if name not in _ERRORS}
    for turn in range(count):  # one row of each kind, then the second ones ...
        for name, rows in shown.items():
            if turn < len(rows) and len(labels) < count:
                labels.setdefault(rows[turn][0], f'{name} {rows[turn][0]}')
    unusable = {index for name in _ERRORS for index, *_ in report.problems.get(name, ())}
    for index in np.linspace(0, len(dataset) - 1, count).astype(int).tolist():
        if len(labels) < count and index not in unusable:
            labels.setdefault(index, f'good {index}')
    [dataset.pipeline] = build_pipelines(report.kind, False, 224, 'fast')
    renderer, tiles = SoftwareRenderer(), []
    for index, label in labels.items():
        try:
            own = sample_tiles(dataset.prepare_data(index), label, mesh, renderer)
        except DataRowError:
            continue  # readable, but nothing that could be shown
        tiles += own if mesh.body is None or len(own) > 1 else [*own, ('', own[0][1])]
    across = 3 if mesh.body else 4
    return write_contact_sheet(path, tiles, across * (2 if mesh.body else 1)) if tiles else None
