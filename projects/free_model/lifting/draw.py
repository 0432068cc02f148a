# SPDX-License-Identifier: Apache-2.0
"""Draw people into shards of 250 images, on many cores, until told to stop.

    python -m projects.free_model.lifting.draw FOLDER --workers 14 --backgrounds PHOTOS

Images are kept as they are (250 kB each), for a GPU that cuts, colours and looks at them anew each
time (``stream.py``). One core draws some 40 a second. A killed run goes on where it stopped.
"""

import argparse
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from fastmetro_mm.speed.allocator import keep_freed_memory
from fastmetro_mm.synthetic.figures import PosedFigure
from fastmetro_mm.synthetic.scene import Plan, Studio

SHARD, TOGETHER, IMAGE = 250, 50, 288


def draw_people(
    studio: Studio, rng: np.random.Generator, count: int
) -> Iterator[tuple[np.ndarray, Plan, dict]]:
    """Images RGB (H, W, 3), what was planned, and labels; half of them have been JPEG files."""
    plans = [studio.plan(rng) for _ in range(count)]
    for plan, posed in zip(plans, studio.pose(plans), strict=True):
        image, label = photograph(studio, rng, plan, posed)
        yield image, plan, label


def photograph(
    studio: Studio, rng: np.random.Generator, plan: Plan, posed: list[PosedFigure]
) -> tuple[np.ndarray, dict]:
    """An image RGB (H, W, 3), in half of all cases once a JPEG file, and its label."""
    photo, label = studio.take_photo(rng, plan, posed)
    image = photo.image
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))]
        image = cv2.imdecode(cv2.imencode('.jpg', image, quality)[1], cv2.IMREAD_COLOR)
    return image, label


def draw_shard(studio: Studio, seed: int, number: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Images (250, 288, 288, 3) and labels; the same numbers give the same shard."""
    rng = np.random.default_rng((seed, number))
    images, rows = [], {name: [] for name in ('pose', 'betas', 'joints', 'box')}
    for _ in range(SHARD // TOGETHER):
        for image, plan, label in draw_people(studio, rng, TOGETHER):
            images.append(image)
            rows['pose'].append(plan.pose)
            rows['betas'].append(plan.betas)
            rows['joints'].append(label['2d_joints'])
            rows['box'].append([*label['center'], 200.0 * label['scale']])
    return np.stack(images), {k: np.array(v, np.float32) for k, v in rows.items()}


def work(folder: Path, seed: int, backgrounds: str | None, numbers: range) -> None:
    """Draw some shards; labels are written last and say that a shard is whole."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()
    studio = Studio('body', (IMAGE, IMAGE), 'photo', backgrounds)
    for number in numbers:
        target = folder / f'{seed}_{number:05d}.npz'
        if target.exists():
            continue
        images, labels = draw_shard(studio, seed, number)
        np.save(target.with_suffix('.images.npy'), images)
        with open(f'{target}.tmp', 'wb') as file:
            np.savez(file, **labels)
        os.replace(f'{target}.tmp', target)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--count', type=int, default=240_000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('--backgrounds', help='folder of photos without people')
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context('spawn')
    workers = [
        context.Process(
            target=work,
            args=(
                options.folder,
                options.seed,
                options.backgrounds,
                range(first, options.count // SHARD, options.workers),
            ),
        )
        for first in range(options.workers)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit('a worker failed; the same command goes on with what is missing')


if __name__ == '__main__':
    main()
