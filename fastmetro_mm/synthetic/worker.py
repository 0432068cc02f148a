# SPDX-License-Identifier: Apache-2.0
"""Drawing one shard of a data set, in this process or in a worker process."""

from pathlib import Path

import numpy as np

from fastmetro_mm.datasets.tsv_writer import TSVRow, TSVSetWriter
from fastmetro_mm.datasets.worker_process import prepare_worker
from fastmetro_mm.synthetic.figures import KINDS
from fastmetro_mm.synthetic.options import SyntheticSetOptions
from fastmetro_mm.synthetic.scene import Studio

SHARD_SIZE = 50
"""Samples in a shard. Fixed, because the last digits of a mesh depend on its batch."""
_SPLITS = ('train', 'test')

_studio: Studio | None = None


def start_worker(options: SyntheticSetOptions) -> None:
    """Prepares a worker process, and the studio it draws in."""
    global _studio
    prepare_worker()
    _studio = Studio(options.kind, options.size, options.scene, options.backgrounds)


def work_on_shard(
    options: SyntheticSetOptions, folder: str, split: str, number: int
) -> tuple[str, int, int]:
    """Draws a shard in a worker process; see :func:`draw_shard`."""
    if _studio is None:
        raise RuntimeError('the worker process was not prepared by start_worker')
    return draw_shard(_studio, options, folder, split, number)


def draw_shard(
    studio: Studio, options: SyntheticSetOptions, folder: str | Path, split: str, number: int
) -> tuple[str, int, int]:
    """Draws and writes the samples of one shard; they appear all at once, or not at all.

    Args:
        studio: Where images are drawn.
        options: Options of the set.
        folder: Folder of the set.
        split: ``'train'`` or ``'test'``.
        number: Shard, counted from 0.

    Returns:
        Split, shard and number of samples drawn.
    """
    first = number * SHARD_SIZE
    indices = range(first, min(first + SHARD_SIZE, options.splits()[split]))
    place = list(KINDS).index(options.kind), _SPLITS.index(split)
    # Every sample has randomness of its own, whichever process draws it and when.
    rngs = [np.random.default_rng((options.seed, *place, index)) for index in indices]
    plans = [studio.plan(rng) for rng in rngs]
    posed = studio.pose(plans)
    with TSVSetWriter(folder, split).shard(number) as shard:
        for index, rng, plan, figure in zip(indices, rngs, plans, posed, strict=True):
            sample = studio.draw(rng, plan, figure)
            shard.add(
                TSVRow(
                    f'{options.kind}_{split}_{index:06d}.jpg', sample.image, sample.label,
                    (options.size[1], options.size[0]),
                )
            )  # fmt: skip
    return split, number, len(indices)
