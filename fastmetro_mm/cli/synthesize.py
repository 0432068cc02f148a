# SPDX-License-Identifier: Apache-2.0
"""Draws a synthetic data set of people or hands in the official TSV format.

Example:
    fastmetro synthesize --out data/synthetic --train 3000 --test 300
"""

import argparse

from fastmetro_mm.dataset_tools.commands import run_command
from fastmetro_mm.datasets.worker_process import cores
from fastmetro_mm.engine.cli import OneLineParser
from fastmetro_mm.synthetic.generate import make_synthetic_set
from fastmetro_mm.synthetic.options import SCENES, SyntheticSetOptions
from fastmetro_mm.synthetic.sample_sheet import write_sample_sheet


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = OneLineParser(
        description='Draw posed open bodies or hands into a labelled TSV data set.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--out', required=True, help='folder of the data set')
    parser.add_argument('--kind', choices=('body', 'hand'), default='body', help='what to draw')
    parser.add_argument('--train', type=int, default=3000, help='number of training images')
    parser.add_argument('--test', type=int, default=300, help='number of test images')
    parser.add_argument('--seed', type=int, default=0, help='start of all randomness')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(256, 256), metavar=('W', 'H'),
        help='width and height of the images, pixels',
    )  # fmt: skip
    parser.add_argument(
        '--scene', choices=SCENES, default='street',
        help='street: clutter, occluders, any view; studio: plain, facing the camera; '
        'photo: people as in photos',
    )  # fmt: skip
    parser.add_argument(
        '--backgrounds',
        metavar='FOLDER',
        help='photos without people for --scene photo (default: $FASTMETRO_BACKGROUNDS, or drawn)',
    )
    parser.add_argument(
        '--workers', type=int, default=cores(), help='drawing processes; 1 = no extra process'
    )
    parser.add_argument(
        '--resume', action=argparse.BooleanOptionalAction, default=True,
        help='go on where an interrupted run stopped',
    )  # fmt: skip
    parser.add_argument(
        '--sheet', metavar='FILE', help='also write an image of the first samples with joints'
    )
    parser.add_argument('--quiet', action='store_true', help='no progress line')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    args = parse_args(argv)
    return run_command(lambda: _make(args), 2, 'run the same command again to go on')


def _make(args: argparse.Namespace) -> int:
    options = SyntheticSetOptions(
        args.kind,
        args.train,
        args.test,
        args.seed,
        (args.size[0], args.size[1]),
        args.scene,
        args.backgrounds,
    )
    summary = make_synthetic_set(args.out, options, args.workers, args.resume, not args.quiet)
    if args.sheet:
        first_set = next(iter(summary.yaml_files.values()))
        write_sample_sheet(args.sheet, first_set, args.kind)
    counts = ', '.join(f'{count} {split}' for split, count in summary.counts.items())
    print(
        f'{args.out}: {counts} ({summary.drawn} drawn now), {summary.num_bytes / 1e6:.1f} MB, '
        f'{summary.seconds:.1f} s, sha256 {summary.checksum[:16]}'
    )
    for path in summary.yaml_files.values():
        print(path)
    return 0
