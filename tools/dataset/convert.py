# SPDX-License-Identifier: Apache-2.0
"""Make a data set in the TSV layout from other layouts.

    python tools/dataset/convert.py spin-npz --in test_h36m.npz --images DIR --out DIR
    python tools/dataset/convert.py images --in DIR [--annotations boxes.json] --out DIR

A conversion that was interrupted goes on when started again with the same arguments.
"""

from __future__ import annotations

import argparse
import os
import sys

from fastmetro_mm.datasets.converters.image_folder import ImageFolderSource
from fastmetro_mm.datasets.converters.run import RowSource, run_conversion
from fastmetro_mm.datasets.converters.spin_npz import SpinNpzSource


def _spin_npz(args: argparse.Namespace) -> RowSource:
    return SpinNpzSource(args.source, args.images)


def _images(args: argparse.Namespace) -> RowSource:
    return ImageFolderSource(args.source, args.annotations, args.body, args.padding)


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    names = parser.add_subparsers(dest='name', required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--in', dest='source', required=True, help='what to convert')
    common.add_argument('--out', required=True, help='folder of the new set')
    common.add_argument('--split', default='train', help='first part of the file names')
    common.add_argument('--limit', type=int, help='convert at most so many rows')
    common.add_argument('--workers', type=int, default=os.cpu_count() or 1)

    spin = names.add_parser('spin-npz', parents=[common], help='npz of SPIN, GraphCMR, ...')
    spin.add_argument('--images', required=True, help='folder of the images')
    spin.set_defaults(build=_spin_npz)

    images = names.add_parser('images', parents=[common], help='a folder of your own images')
    images.add_argument('--annotations', help='COCO-style json of boxes and keypoints')
    images.add_argument('--body', default='smpl', choices=['smpl', 'hand'])
    images.add_argument('--padding', type=float, default=1.2,
                        help='crop side / longer side of the box')
    images.set_defaults(build=_images)
    return parser


def _show(done: int, total: int) -> None:
    print(f'\r{done}/{total} rows', end='', file=sys.stderr, flush=True)


def main() -> int:
    """Run one conversion; 1 with a one-line message where the input cannot be used."""
    args = _build_parser().parse_args()
    try:
        report = run_conversion(args.build(args), args.out, args.split, args.limit,
                                args.workers, _show)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(file=sys.stderr)
    print(f'{report.yaml_path}: {report.num_rows} rows, {report.num_skipped} skipped, '
          f'sha256 {report.checksum}')
    for reason, count in sorted(report.reasons.items(), key=lambda item: -item[1]):
        print(f'  skipped {count}: {reason}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
