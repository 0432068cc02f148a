# SPDX-License-Identifier: Apache-2.0
"""Images with several synthetic people and the boxes of all of them, to measure the detector on.

``python -m projects.free_model.crowds OUT [--scenes 200]`` draws them: ``OUT/0000.jpg``... and
``OUT/people.json`` with, for every person, the box of the whole mesh (the one that training crops
are made from) and the share of the body that is in the image and not hidden. ``--people 8 20``
draws crowds, ``--sides 0.06 0.2`` people of so many times the image's shorter side.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.synthetic.backgrounds import draw_background
from fastmetro_mm.synthetic.camera_placement import PlacedCamera, bounding_box
from fastmetro_mm.synthetic.lighting import finish_photo
from fastmetro_mm.synthetic.scene import Studio

SIZES = ((640, 480), (480, 640), (960, 640), (1280, 720))
# share of scenes with so many people
COUNTS = {1: 0.25, 2: 0.2, 3: 0.15, 4: 0.1, 6: 0.1, 8: 0.1, 12: 0.1}


def stand(
    rng: np.random.Generator, points: np.ndarray, size: tuple[int, int], side: float
) -> PlacedCamera:
    """A camera that shows a body ``side`` pixels large somewhere in the image.

    Args:
        rng: Source of randomness.
        points: Vertices, camera axes, metres. (V, 3)
        size: Width and height of the image, pixels.
        side: Longer side of the body's box, pixels.

    Returns:
        The camera.
    """
    extent = np.array(size, dtype=np.float64)
    focal = 1.2 * max(size)
    reach = np.ptp(points[:, :2], axis=0)
    depth = focal * reach.max() / side
    spread = reach / reach.max() * side
    room = np.maximum(extent - spread, 0.1 * extent)
    center = extent / 2 + (rng.random(2) - 0.5) * room
    middle = points.mean(axis=0)
    translation = np.array([*((center - extent / 2) * depth / focal), depth]) - middle
    return PlacedCamera(focal, extent / 2, translation)


def draw_crowd(
    rng: np.random.Generator, studio: Studio, count: int, sides: tuple[float, float] | None = None
) -> tuple[np.ndarray, list[dict]]:
    """One image.

    Args:
        rng: Source of randomness.
        studio: Draws the people; its size is set to the image's.
        count: Number of people.
        sides: Smallest and largest side of a person, shares of the image's shorter side; None:
            0.12 to 0.9, the more people the smaller.

    Returns:
        The image (H, W, 3) uint8 RGB and a dict a person.
    """
    size = SIZES[rng.integers(len(SIZES))]
    studio.size = size
    least, largest = sides or (0.12, 0.9 / (1 + 0.12 * count))
    pixels = np.exp(rng.uniform(np.log(least * min(size)), np.log(largest * min(size)), count))
    plans = [studio.plan(rng) for _ in range(count)]
    posed = studio.figure.pose(
        np.stack([plan.pose for plan in plans]), np.stack([plan.betas for plan in plans])
    )
    image = draw_background(rng, size)
    people: list[dict] = []
    owner = np.full(image.shape[:2], -1)
    for number, (body, side) in enumerate(zip(posed, np.sort(pixels), strict=True)):
        camera = stand(rng, body.vertices, size, side)  # far ones first
        points = camera.project(body.vertices)
        mask = studio.draw_figure(rng, image, body, camera, studio.painter.paint(rng))
        owner[mask] = number
        inside = ((points > -0.5) & (points < np.array(size) - 0.5)).all(axis=1).mean()
        people.append(
            {
                'mesh_box': bounding_box(points).round(2).tolist(),
                'drawn': int(mask.sum()),
                'inside': round(float(inside), 4),
            }
        )
    for number, person in enumerate(people):
        seen = np.count_nonzero(owner == number) / max(person.pop('drawn'), 1)
        person['visible'] = round(seen * person.pop('inside'), 4)
    return finish_photo(rng, image), people


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('--scenes', type=int, default=200)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--people', type=int, nargs=2, metavar=('LEAST', 'MOST'))
    parser.add_argument('--sides', type=float, nargs=2, metavar=('LEAST', 'MOST'))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    studio = Studio('body', SIZES[0], 'photo')
    counts, shares = list(COUNTS), np.array(list(COUNTS.values()))
    labels = {}
    for number in range(args.scenes):
        rng = np.random.default_rng([args.seed, number])
        if args.people:
            count = int(rng.integers(args.people[0], args.people[1] + 1))
        else:
            count = int(rng.choice(counts, p=shares / shares.sum()))
        image, people = draw_crowd(rng, studio, count, args.sides)
        name = f'{number:04d}.jpg'
        cv2.imwrite(str(args.out / name), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        labels[name] = people
    write_atomically(args.out / 'people.json', json.dumps(labels, indent=1).encode())


if __name__ == '__main__':
    main()
