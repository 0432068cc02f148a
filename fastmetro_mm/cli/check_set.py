# SPDX-License-Identifier: Apache-2.0
"""Check a data set before training on it: open every row, compare its labels, report.

    fastmetro doctor data/mine/train.yaml [--out DIR] [--limit N]

Writes report.txt, report.json and sheet.png (rows with problems first). Ends with status 1 where
rows are unusable; other findings are for you to judge.
"""

import argparse
import sys
from pathlib import Path

from fastmetro_mm.dataset_tools.commands import add_body, run_command
from fastmetro_mm.dataset_tools.inspection.browse import find_kind
from fastmetro_mm.dataset_tools.inspection.label_mesh import LabelMesh
from fastmetro_mm.dataset_tools.inspection.set_report import check_set, write_report_sheet
from fastmetro_mm.datasets.worker_process import cores
from fastmetro_mm.engine.cli import OneLineParser, count
from fastmetro_mm.fileio import writable_folder, write_atomically


def _build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(description=__doc__)
    parser.add_argument('set', help='yaml of the set')
    parser.add_argument('--out', help='folder of the report (default: <set>.doctor beside it)')
    parser.add_argument('--limit', type=count, help='check only so many rows, spread over the set')
    parser.add_argument(
        '--workers', type=count, default=cores(), help='processes (default: one a core)'
    )
    add_body(parser, 'compare joints with')
    return parser


def _show(done: int, total: int) -> None:
    print(f'\r{done}/{total} rows', end='\n' if done == total else '', file=sys.stderr, flush=True)


def main() -> int:
    """Check one set; 0 where every row can be used, 1 where not, 2 where the set cannot."""
    args = _build_parser().parse_args()
    return run_command(lambda: _check(args), 2, 'there is no report')


def _check(args: argparse.Namespace) -> int:
    kind = find_kind(args.set)
    mesh = LabelMesh(kind, args.body_model, args.body_data)
    out = writable_folder(args.out or f'{Path(args.set).with_suffix("")}.doctor')
    report = check_set(args.set, kind, mesh, args.workers, args.limit, _show)
    print(report.text())  # first: the disk may be full by now
    report.write_json(out / 'report.json')
    write_atomically(out / 'report.txt', f'{report.text()}\n'.encode())
    sheet = write_report_sheet(report, mesh, out / 'sheet.png')
    print(f'report in {out}' + ('' if sheet else ' (no row can be shown)'))
    return 1 if report.num_unusable else 0
