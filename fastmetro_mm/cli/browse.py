# SPDX-License-Identifier: Apache-2.0
"""Draw samples of a data set as the network will see them, into one image.

    fastmetro browse data/mine/train.yaml --out sheet.png --augment --n 12

Shown are the crop with its labelled joints (right orange, left green) and, where a body model is
at hand, the labelled mesh; with --augment the same again after a random training augmentation.
"""

import argparse

from fastmetro_mm.dataset_tools.commands import add_body, run_command
from fastmetro_mm.dataset_tools.inspection.browse import find_kind, write_browse_sheet
from fastmetro_mm.dataset_tools.inspection.label_mesh import LabelMesh
from fastmetro_mm.engine.cli import OneLineParser, count


def _build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(description=__doc__)
    parser.add_argument('set', help='yaml of the set')
    parser.add_argument('--out', default='sheet.png', help='image file (default: %(default)s)')
    parser.add_argument('--n', type=count, default=12, help='number of samples')
    parser.add_argument('--index', type=int, nargs='+', help='these samples')
    parser.add_argument('--augment', action='store_true', help='also after augmentation')
    parser.add_argument('--mode', default='official', choices=['official', 'fast'])
    parser.add_argument('--size', type=count, default=224, help='side of a crop, px')
    parser.add_argument('--seed', type=int, default=0, help='start of the augmentations')
    add_body(parser, 'draw')
    return parser


def main() -> int:
    """Write one sheet; 1 with a one-line message where the set cannot be shown."""
    args = _build_parser().parse_args()
    return run_command(lambda: _browse(args), 1, 'nothing was written')


def _browse(args: argparse.Namespace) -> int:
    mesh = LabelMesh(find_kind(args.set), args.body_model, args.body_data)
    path = write_browse_sheet(
        args.set, args.out, args.index, args.n, args.augment, mesh, args.size, args.mode, args.seed
    )
    shown = f'meshes of {mesh.body}' if mesh.body else 'no meshes (no body model at hand)'
    print(f'{path}: {shown}')
    return 0
