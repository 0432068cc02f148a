#!/usr/bin/env python
# SPDX-License-Identifier: Apache-2.0
"""Run mmpose's own tests without and with this package: what passes without it must pass with it.

The checkout lies outside of the repository, e.g. ``git clone --branch v1.3.2
https://github.com/open-mmlab/mmpose``. Every folder of its tests runs in processes of its own;
results are kept in the report as they come, and a second run goes on from there.

Usage: python tools/mmpose_tests.py CHECKOUT --report mmpose_tests.json [--only test_codecs ...]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from fastmetro_mm.errors import CliError
from fastmetro_mm.fileio import write_atomically

ROOT = Path(__file__).resolve().parents[1]
WITHOUT, WITH = 'without', 'with'
SECONDS = 1200
"""For the tests of one process."""


def groups_of(tests: Path, only: list[str]) -> dict[str, list[Path]]:
    """Test files by folder, relative to the folder of the tests.

    Raises:
        CliError: If there are none.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(tests.rglob('test_*.py')):
        name = path.parent.relative_to(tests).as_posix()
        if not only or any(name == one or name.startswith(f'{one}/') for one in only):
            found.setdefault(name, []).append(path)
    if not found:
        raise CliError(f'{tests}: no tests {only or ""}: give a checkout of mmpose')
    return found


def outcomes(report: Path) -> dict[str, str]:
    """Result of every test of pytest's XML report: passed, failed or skipped."""
    results = {}
    for case in ET.parse(report).getroot().iter('testcase'):
        kinds = {child.tag for child in case}
        failed = kinds & {'failure', 'error'}
        name = '::'.join(filter(None, map(case.get, ('file', 'classname', 'name'))))
        results[name] = 'failed' if failed else 'skipped' if 'skipped' in kinds else 'passed'
    return results


def run(checkout: Path, files: list[Path], with_us: bool) -> dict[str, str]:
    """Run test files in one process; file by file if that process dies."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / 'report.xml'
        command = [sys.executable, '-m', 'pytest', *map(str, files), '-q']
        command += ['-p', 'no:cacheprovider', f'--junitxml={report}', '--rootdir', str(checkout)]
        # mmpose's own options need xdoctest; xunit1 names the files
        command += ['-o', 'addopts=', '-o', 'junit_family=xunit1']
        command += ['--continue-on-collection-errors']
        command += ['-p', 'fastmetro_mm'] if with_us else []
        paths = os.pathsep.join([str(checkout), str(ROOT)])
        done = subprocess.Popen(
            command,
            cwd=checkout,
            env={**os.environ, 'PYTHONPATH': paths},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            done.wait(SECONDS)
        except subprocess.TimeoutExpired:
            done.kill()
            done.wait()
        if report.is_file():
            return outcomes(report)
    if len(files) == 1:
        return {f'{files[0].relative_to(checkout)}': 'failed'}
    return {
        name: result for file in files for name, result in run(checkout, [file], with_us).items()
    }


def compare(results: dict[str, dict[str, dict[str, str]]]) -> list[str]:
    """Tests that pass without us and do not pass with us."""
    return [
        f'{group}: {name}: {both[WITH].get(name, "missing")}'
        for group, both in results.items()
        if WITH in both
        for name, result in both.get(WITHOUT, {}).items()
        if result == 'passed' and both[WITH].get(name) != 'passed'
    ]


def _has_any(file: Path, checkout: Path, names: set[str]) -> bool:
    start = f'{file.relative_to(checkout).as_posix()}::'
    return any(name.startswith(start) for name in names)


def main(argv: list[str] | None = None) -> int:
    """Run, print and compare; returns 1 if something fails with us only."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('checkout', type=Path)
    parser.add_argument('--report', type=Path, default=Path('mmpose_tests.json'))
    parser.add_argument('--only', nargs='+', default=[], help='folders below tests/')
    options = parser.parse_args(argv)
    results: dict[str, dict[str, dict[str, str]]] = {}
    if options.report.is_file():
        results = json.loads(options.report.read_text())
    try:
        checkout = options.checkout.resolve()
        groups = groups_of(checkout / 'tests', options.only)
    except CliError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for name, files in groups.items():
        both = results.setdefault(name, {})
        for kind in (WITHOUT, WITH):
            if kind not in both:
                if kind == WITH:  # what fails without us may fail with us
                    passing = {name for name, one in both[WITHOUT].items() if one == 'passed'}
                    files = [file for file in files if _has_any(file, checkout, passing)]
                both[kind] = run(checkout, files, kind == WITH) if files else {}
                write_atomically(options.report, json.dumps(results, indent=1).encode())
            counts = Counter(both[kind].values())
            print(f'{name} {kind} us: {dict(sorted(counts.items()))}', flush=True)
    worse = compare(results)
    for kind in (WITHOUT, WITH):
        total = sum((Counter(both.get(kind, {}).values()) for both in results.values()), Counter())
        print(f'{kind} fastmetro_mm: {dict(sorted(total.items()))}')
    print('\n'.join(worse) if worse else 'every test that passes without us passes with us')
    return 1 if worse else 0


if __name__ == '__main__':
    sys.exit(main())
