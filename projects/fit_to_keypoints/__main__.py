# SPDX-License-Identifier: Apache-2.0
"""Photos with 2D key points to a data set with fitted bodies (pseudo labels).

Usage: python -m projects.fit_to_keypoints PHOTOS KEYPOINTS.json --out data/mine
"""

import argparse
from pathlib import Path

import numpy as np

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.datasets.tsv_writer import write_tsv_set
from fastmetro_mm.engine.cli import OneLineParser, friendly_errors
from projects.fit_to_keypoints.pseudo_labels import PseudoLabels


def build_parser() -> argparse.ArgumentParser:
    """Command line."""
    parser = OneLineParser(description=__doc__.split('\n')[0])
    parser.add_argument('photos', type=Path, help='folder of the images')
    parser.add_argument('keypoints', type=Path, help='COCO-style json: boxes and key points')
    parser.add_argument('--out', type=Path, required=True, help='folder of the data set')
    parser.add_argument('--split', default='train', help='name of the data set')
    parser.add_argument('--model', default='open_body', help='network that the fit starts from')
    parser.add_argument('--weights', help='its checkpoint')
    parser.add_argument(
        '--worst',
        type=float,
        default=0.04,
        help='bodies farther from their key points than this share of the person are left out '
        '(default: %(default)s)',
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Fit everybody and write the set."""
    with friendly_errors():
        options = build_parser().parse_args(argv)
        inferencer = MeshInferencer(options.model, options.weights, detector=None)
        labels = PseudoLabels(options.photos, options.keypoints, inferencer, options.worst)
        path = write_tsv_set(options.out, options.split, labels.rows())
        outcome = labels.outcome
        print(f'{path}: {outcome.fitted} fitted bodies, {outcome.kept_2d} with key points alone')
        if outcome.residuals:
            middle = 100 * float(np.median(outcome.residuals))
            print(f'median distance from the key points: {middle:.1f} % of the person')
        for reason, count in outcome.skipped.most_common():
            print(f'left out: {count} ({reason})')


if __name__ == '__main__':
    main()
