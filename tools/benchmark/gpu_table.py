# SPDX-License-Identifier: Apache-2.0
"""Fill the CUDA table of docs/performance.md.

    python tools/benchmark/gpu_table.py --against PATH_TO_OFFICIAL_CHECKOUT --write

Inference of S-R50 and L-H64 (as loaded, exact with TF32 off, fast in float16, both also as CUDA
graphs, ONNX Runtime's CUDA and TensorRT where they are), training steps (float32, bfloat16), the
official code beside them, how far the shipped body moves in fast mode, and where a step waits for
the device. A row that fails says why, and the next one follows; ``--json`` is written after every
row. ``--device cpu --quick`` tries the script without a GPU; nothing is put into the page then.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from gpu_rows import Bench, Row, rows
from official_code import arena
from suites import OFFICIAL

from fastmetro_mm.engine.cli import friendly_errors
from fastmetro_mm.errors import CliError
from fastmetro_mm.fileio import write_atomically, write_json

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'performance.md'
BEGIN, END = '<!-- made by tools/benchmark/gpu_table.py -->', '<!-- end -->'
GOALS_MS = {'L-H64 inference, batch 1': 8.0, 'S-R50 inference, batch 1': 2.5}
_HEAD = (
    '| work | who | ms | images/s | official / ours | added memory, MB | difference |\n'
    '|---|---|---|---|---|---|---|\n'
)


def measure(
    bench: Bench, quick: bool, deadline: float, file: Path | None = None, only: str = ''
) -> dict[str, Any]:
    """Measure row by row.

    Args:
        bench: What they share.
        quick: See :func:`gpu_rows.rows`.
        deadline: No row begins after this ``time.perf_counter()``.
        only: Part of the names of works that are measured.
        file: JSON that is written after every row.

    Returns:
        The machine and the rows; what cannot run here says why.
    """
    found: list[dict[str, Any]] = []
    for row in (row for row in rows(quick) if only in row.work):
        if time.perf_counter() > deadline:
            found.append(dict(work=row.work, who=row.who, left_out='no time was left'))
        else:
            found.append(one(bench, row))
        print(line(found[-1], found), flush=True)
        if file:
            write_json(file, dict(_machine(bench), rows=found), indent=1)
    return dict(_machine(bench), rows=found)


def one(bench: Bench, row: Row) -> dict[str, Any]:
    """Measure a row, whatever happens in it."""
    found: dict[str, Any] = dict(work=row.work, who=row.who)
    start = time.perf_counter()
    try:
        found.update(row.measure(bench))
    except Exception as error:
        reason = str(error).strip().split('\n')[0]
        found['left_out'] = reason if isinstance(error, CliError) else f'{_name(error)}: {reason}'
    found['seconds'] = time.perf_counter() - start
    if bench.device.type == 'cuda' and torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found


def _name(error: Exception) -> str:
    return type(error).__name__


def _machine(bench: Bench) -> dict[str, Any]:
    gpu = bench.device.type == 'cuda'
    return dict(
        device=torch.cuda.get_device_name(bench.device) if gpu else 'CPU',
        torch=torch.__version__,
        cuda=torch.version.cuda,
        rounds=bench.rounds,
    )


def line(row: dict[str, Any], found: list[dict[str, Any]]) -> str:
    """A row of the table."""
    start = f'| {row["work"]} | {row["who"]} |'
    if 'left_out' in row:
        return f'{start} not run: {row["left_out"]} |  |  |  |  |'
    if 'waits' in row:
        places = ', '.join(f'`{place}` {count}' for place, count in row['waits'].items())
        return f'{start} {sum(row["waits"].values())} times |  |  |  | {places or "nowhere"} |'
    goal = GOALS_MS.get(row['work'], float('inf'))
    missed = f' (asked {goal:g})' if row['milliseconds'] > goal and 'graphs' in row['who'] else ''
    official = next(
        (other['milliseconds'] for other in found
         if other['work'] == row['work'] and other['who'] == OFFICIAL and 'left_out' not in other),
        None,
    )  # fmt: skip
    times = '' if official is None else f'{official / row["milliseconds"]:.2f}'
    difference = f'{row["difference"]:.0e} m' if 'difference' in row else ''
    if 'mean_mm' in row:
        difference = f'mean {row["mean_mm"]:.2f} mm, worst person {row["worst_person_mm"]:.2f} mm'
    return (
        f'{start} {row["milliseconds"]:.2f}{missed} | {row["images_per_second"]:.0f} | {times} | '
        f'{row["added_mb"]:.0f} | {difference} |'
    )


def table(run: dict[str, Any]) -> str:
    """The part of the page, rows of one work beside each other, from what ``--json`` wrote."""
    found = run['rows']
    works = list(dict.fromkeys(row['work'] for row in found))
    ordered = sorted(
        (row for row in found if 'waits' not in row), key=lambda row: works.index(row['work'])
    )
    waits = [row for row in found if 'waits' in row]
    text = ''.join(f'{line(row, found)}\n' for row in ordered + waits)
    return (
        f'{BEGIN}\n\n{run["device"]}, PyTorch {run["torch"]}, median of up to {run["rounds"]} '
        'turns (0.7 s at most), the device waited for at both ends of each. TF32 as PyTorch has it '
        f'(in convolutions only), none in `exact`:\n\n{_HEAD}{text}\n{END}'
    )


def put_into_page(part: str) -> None:
    """Replace the table of an earlier run."""
    text = PAGE.read_text(encoding='utf-8')
    found = f'{re.escape(BEGIN)}.*?{re.escape(END)}'
    if not re.search(found, text, re.DOTALL):
        raise CliError(f'{PAGE}: the line {BEGIN} is missing: put it back where the table goes')
    write_atomically(PAGE, re.sub(found, lambda _: part, text, flags=re.DOTALL).encode())


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--rounds', type=int, default=50, help='turns of a row at most')
    parser.add_argument('--budget', type=float, default=float('inf'), metavar='SECONDS',
                        help='begin no row after so long')  # fmt: skip
    parser.add_argument('--only', default='', help='works whose name contains this')
    parser.add_argument('--against', type=Path, help='checkout of the official code')
    parser.add_argument('--quick', action='store_true', help='see whether it runs; no numbers')
    parser.add_argument('--write', action='store_true', help='put the table into the page')
    parser.add_argument('--json', type=Path, help='write the rows to this file, after each')
    parser.add_argument('--put', type=Path, metavar='JSON',
                        help='only put the table of an earlier run into the page')  # fmt: skip
    args = parser.parse_args(argv)
    warnings.filterwarnings('ignore')
    with friendly_errors():
        if args.put:
            put_into_page(table(json.loads(args.put.read_text(encoding='utf-8'))))
            return 0
        device = torch.device(args.device)
        if device.type == 'cuda' and not torch.cuda.is_available():
            raise CliError('no CUDA device here: --device cpu --quick tries the script')
        if args.write and (device.type != 'cuda' or args.quick):
            raise CliError('--write is for whole measurements on a GPU')
        torch.set_flush_denormal(True)  # random weights of the CPU's trial are full of them
        file = args.json and args.json.absolute()  # the official code changes the folder
        with arena(args.against) as (official, body):
            bench = Bench(device, args.rounds, official, body)
            found = measure(bench, args.quick, started + args.budget, file, args.only)
        if args.write:
            put_into_page(table(found))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
