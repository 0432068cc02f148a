# SPDX-License-Identifier: Apache-2.0
"""How time and memory grow: with the batch, people of an image, rows of a set, ranks.

    python tools/benchmark/scaling.py [--json scaling.json]
    python tools/benchmark/scaling.py --only batch people rows ranks paper

``batch``: the network FastMETRO-S-R50. ``people``: the inferencer with the quickstart's network on
one image of 1280x720. ``rows``: opening sets without images (170 bytes of disk a row).
``ranks``: training steps of the quickstart's network in gloo processes of one thread each.
``paper``: computed, not measured: sizes of the networks, their exchange of gradients and the
efficiency expected on several machines. Weights are random; no file is needed.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

# `python tools/benchmark/scaling.py` puts tools/benchmark on the path, not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
# mmengine 0.10 imports pkg_resources; its users can do nothing about that.
warnings.filterwarnings('ignore', message='pkg_resources is deprecated')

import torch  # noqa: E402

from fastmetro_mm.engine.cli import OneLineParser, friendly_errors  # noqa: E402
from fastmetro_mm.fileio import write_json  # noqa: E402

SUITES = ('batch', 'people', 'rows', 'ranks', 'paper')


def print_table(title: str, rows: list[dict[str, Any]]) -> None:
    """Rows under the names of their entries, aligned."""
    cells = [list(rows[0]), *([_text(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print(f'\n{title}')
    for line in cells:
        print('  ' + '  '.join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return (
        f'{value:,.4g}'
        if isinstance(value, float) and abs(value) < 1e4
        else (f'{value:,.0f}' if isinstance(value, (int, float)) else str(value))
    )


def run_batch(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Network against batch size."""
    from scaling_inference import measure_batches

    rows = measure_batches(args.batches, args.rounds, args.threads)
    print_table('FastMETRO-S-R50, float32, batch of crops', rows)
    return rows


def run_people(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Inferencer against people."""
    from scaling_inference import measure_people

    rows = measure_people(args.people, args.rounds, args.threads)
    print_table('quickstart, one image of 1280x720, boxes given', rows)
    return rows


def run_rows(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Data set against rows."""
    from scaling_rows import measure_rows

    rows = measure_rows(args.rows, args.rounds, args.folder)
    print_table('data sets, index only', rows)
    return rows


def run_ranks(args: argparse.Namespace) -> dict[str, Any]:
    """Training steps against processes, and what evaluation brings together."""
    from scaling_ranks import evaluation_bytes, measure_ranks

    rows = measure_ranks(args.ranks, args.batch_per_rank, 4 * args.rounds)
    print_table('quickstart, training step, gloo processes of one thread', rows)
    volume = evaluation_bytes()
    print_table('bytes a sample that an evaluation brings together', [volume])
    return dict(training=rows, evaluation_bytes=volume)


def run_paper(args: argparse.Namespace) -> dict[str, Any]:
    """Computed numbers."""
    from scaling_paper import NODES, Assumptions, compute_scaling

    assumed = Assumptions(
        peak_flops=1e12 * args.peak_tflops,
        utilisation=args.utilisation,
        batch=args.batch_per_gpu,
        number_bytes=args.gradient_bytes,
        accumulate=args.accumulate,
    )
    networks = compute_scaling(assumed)
    print_table(
        f'computed: a batch of {args.batch_per_gpu} images a GPU at {args.utilisation:.0%} of '
        f'{args.peak_tflops:g} TFLOP/s',
        [
            dict(
                network=row['network'], parameters=row['parameters'],
                gradient_mb=row['gradient_bytes']['float32'] / 1e6,
                gflop_an_image=row['flops'] / 1e9, activations_mb=row['activation_bytes'] / 1e6,
                batch_ms=1e3 * row['batch_seconds'], images_per_second=row['images_per_second'],
                **{f'{name}_mb': value / 1e6 for name, value in row['state_bytes_8_gpus'].items()},
            )
            for row in networks
        ])  # fmt: skip
    print_table(
        'computed: ms to exchange the gradients of a step (16 machines; NVLink: 8 GPUs)',
        [
            {'network': row['network']}
            | {f'{r["link"]} {r["kind"]}': 1e3 * r['seconds'] for r in row['all_reduce_seconds']}
            for row in networks
        ],
    )
    lines = []
    for row in networks:
        for at in range(0, len(row['efficiency']), len(NODES)):
            group = row['efficiency'][at : at + len(NODES)]
            line = dict(network=row['network'], gpus=group[0]['gpus'], link=group[0]['link'])
            for entry in group:
                line[str(entry['nodes'])] = f'{entry["overlap"]:.0%} ({entry["no_overlap"]:.0%})'
            lines.append(line)
    print_table(
        'computed: efficiency with (without) overlap of exchange and backward pass, by machines',
        lines,
    )
    return dict(assumed=asdict(assumed), networks=networks)


def positive(text: str) -> int:
    """Whole number from 1 on; ``1e6`` is one."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value < 1 or value != int(value):
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number from 1 on')
    return int(value)


def share(text: str) -> float:
    """Number above 0, at most 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no share above 0 and up to 1')
    return value


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    several = dict(type=positive, nargs='+', metavar='N')
    parser.add_argument('--only', nargs='+', choices=SUITES, default=list(SUITES))
    parser.add_argument('--json', type=Path, metavar='OUT', help='also write the numbers here')
    parser.add_argument('--batches', default=[1, 2, 4, 8, 16, 32], **several)
    parser.add_argument('--people', default=[1, 2, 4, 8, 16], **several)
    parser.add_argument('--rows', default=[10**n for n in range(3, 8)], **several)
    parser.add_argument('--ranks', default=[1, 2, 4], **several)
    parser.add_argument('--rounds', type=positive, default=5, help='turns each that count')
    parser.add_argument('--threads', type=positive, help='of batch and people; default: all cores')
    parser.add_argument('--folder', type=Path, help='where the sets of many rows are written')
    parser.add_argument('--batch-per-rank', type=positive, default=8)
    parser.add_argument('--batch-per-gpu', type=positive, default=16, help='paper')
    parser.add_argument(
        '--peak-tflops',
        type=positive,
        default=989,
        help='paper: nominal bfloat16 rate of a GPU, dense (H100 and H200: 989)',
    )
    parser.add_argument('--utilisation', type=share, default=0.1, help='paper: assumed share of it')
    parser.add_argument('--accumulate', type=positive, default=1, help='paper: batches of a step')
    parser.add_argument(
        '--gradient-bytes',
        type=int,
        choices=(2, 4),
        default=4,
        help='paper: of a number on the way; 2 if gradients are sent in bfloat16',
    )
    args = parser.parse_args()
    if args.folder is not None and not args.folder.is_dir():
        parser.error(f'--folder {args.folder}: no such folder')
    if args.json is not None and args.json.is_dir():
        parser.error(f'--json {args.json}: that is a folder, name a file')
    return args


def main() -> None:
    """Print the tables."""
    args = parse_args()
    run = dict(batch=run_batch, people=run_people, rows=run_rows, ranks=run_ranks, paper=run_paper)
    cores = len(os.sched_getaffinity(0))
    found: dict[str, Any] = dict(
        machine=dict(cores=cores, threads=args.threads or cores, torch=torch.__version__)
    )
    for name in SUITES:
        if name in args.only:
            found[name] = run[name](args)
    if args.json is not None:
        write_json(args.json, found, indent=1)


if __name__ == '__main__':
    with friendly_errors():
        main()
