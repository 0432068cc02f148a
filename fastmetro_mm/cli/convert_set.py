# SPDX-License-Identifier: Apache-2.0
"""Make a data set in the TSV layout from other layouts.

    fastmetro convert NAME --in SOURCE --out DIR [--split S] [--limit N]
    fastmetro convert mixed --in A.yaml B.yaml --ratios 2 1 --out DIR

A conversion that was interrupted goes on when started again with the same arguments.
`fastmetro convert NAME --help` shows what a converter needs; docs/data.md has a recipe for each.
"""

import argparse
import sys
import time

from fastmetro_mm.dataset_tools.commands import run_command
from fastmetro_mm.dataset_tools.converters.command_line import CONVERTERS, add_converter
from fastmetro_mm.dataset_tools.converters.mixed import write_mixed_set
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.datasets.worker_process import cores
from fastmetro_mm.engine.cli import OneLineParser, count


def _build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(description=__doc__)
    names = parser.add_subparsers(dest='name', required=True)
    for name, converter in CONVERTERS.items():
        sub = names.add_parser(name, help=converter.help, description=converter.help)
        sub.add_argument('--in', dest='source', required=True, help='what to convert')
        sub.add_argument('--out', required=True, help='folder of the new set')
        sub.add_argument('--limit', type=count, help='convert at most so many rows')
        sub.add_argument(
            '--workers', type=count, default=cores(), help='processes (default: one a core)'
        )
        add_converter(sub, converter)
    mixed = names.add_parser('mixed', help='one composite set of several converted sets')
    mixed.add_argument('--in', dest='source', nargs='+', required=True, help='yaml files')
    mixed.add_argument('--out', required=True, help='folder of the new set')
    mixed.add_argument('--split', default='train', help='first part of the file names')
    mixed.add_argument(
        '--ratios',
        type=float,
        nargs='+',
        help='share of each source in an epoch; by default every row once',
    )
    mixed.add_argument(
        '--rows', type=count, help='rows of an epoch; by default as many as need no repeated row'
    )
    mixed.add_argument('--seed', type=int, default=0, help='which rows are taken')
    return parser


class _Progress:
    """Rows done, with the time left, on one line of the terminal."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        self._first = self._first or (now, done)
        passed, rows = now - self._first[0], done - self._first[1]
        left = f', {passed / rows * (total - done):.0f} s left' if rows else ''
        print(f'\r{done}/{total} rows{left}   ', end='', file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._first is not None:
            print(file=sys.stderr)


def _mix(args: argparse.Namespace) -> int:
    report = write_mixed_set(args.source, args.out, args.split, args.ratios, args.rows, args.seed)
    print(
        f'{report.yaml_path}: {sum(report.counts)} rows an epoch, '
        f'sha256 of the linelist {report.checksum}'
    )
    for path, number, available in zip(args.source, report.counts, report.available, strict=True):
        print(f'  {path}: {number} rows of {available}')
    return 0


def _convert(args: argparse.Namespace) -> int:
    source = CONVERTERS[args.name].build(args)
    note = getattr(source, 'note', None)
    if note:
        print(f'labels: {note}')
    progress = _Progress()
    try:
        report = run_conversion(source, args.out, args.split, args.limit, args.workers, progress)
    finally:
        progress.end()
    print(
        f'{report.yaml_path}: {report.num_rows} rows, {report.num_skipped} skipped, '
        f'sha256 {report.checksum}'
    )
    for reason, number in sorted(report.reasons.items(), key=lambda item: -item[1]):
        print(f'  skipped {number}: {reason}')
    return 0


def main() -> int:
    """Run one conversion; 1 with a one-line message where the input cannot be used."""
    args = _build_parser().parse_args()
    work = _mix if args.name == 'mixed' else _convert
    return run_command(lambda: work(args), 1, 'the same command goes on where it stopped')
