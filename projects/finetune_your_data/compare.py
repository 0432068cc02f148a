# SPDX-License-Identifier: Apache-2.0
"""Before and after the fine-tuning, on photos that were held out.

Usage: python -m projects.finetune_your_data.compare PHOTOS TEST.json CHECKPOINT --out compare.jpg
"""

import argparse
from pathlib import Path

import numpy as np

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.config_files import config_path
from fastmetro_mm.engine.cli import OneLineParser, friendly_errors
from fastmetro_mm.errors import InputError
from fastmetro_mm.visualization.contact_sheet import write_contact_sheet
from fastmetro_mm.visualization.frame_drawing import draw_frame
from fastmetro_mm.visualization.renderer_factory import build_renderer
from projects.finetune_your_data.labelled_photos import distance, look_at, read_people

_SHOWN = 8


def build_parser() -> argparse.ArgumentParser:
    """Command line."""
    parser = OneLineParser(description=__doc__.split('\n')[0])
    parser.add_argument('photos', type=Path, help='folder of the images')
    parser.add_argument('keypoints', type=Path, help='COCO-style json of held-out people')
    parser.add_argument('checkpoint', help='what the fine-tuning wrote')
    parser.add_argument('--out', type=Path, help='image: photo, before, after')
    parser.add_argument('--limit', type=int, help='take the first people only')
    return parser


def main(argv: list[str] | None = None) -> None:
    """Print the distances of bodies from labelled key points, before and after."""
    with friendly_errors():
        options = build_parser().parse_args(argv)
        networks = {
            'before': MeshInferencer(detector=None),
            'after': MeshInferencer(config_path('open_body'), options.checkpoint, detector=None),
        }
        found: dict[str, list[np.ndarray]] = {name: [] for name in networks}
        tiles = []
        renderer = build_renderer('software')
        people = [p for _, p, _ in read_people(options.photos, options.keypoints) if p]
        if not people:
            raise InputError(f'{options.keypoints}: nobody can be used: run the check first')
        for number, person in enumerate(people[: options.limit]):
            for name, network in networks.items():
                frame = look_at(network, person)
                found[name].append(distance(frame.people[0].keypoints, person))
                if options.out and number < _SHOWN:
                    if name == 'before':
                        tiles.append(('', np.array(frame.image)))
                    tiles.append((name, draw_frame(frame, renderer)))
        for name, distances in found.items():
            every = np.concatenate(distances)
            print(
                f'{name}: {len(distances)} people, joints off by {100 * every.mean():.2f} % of the '
                f'box (median {100 * np.median(every):.2f}), {100 * (every < 0.05).mean():.1f} % '
                'within 5 %'
            )
        if options.out:
            print(write_contact_sheet(options.out, tiles, columns=6, tile_height=220))


if __name__ == '__main__':
    main()
