# SPDX-License-Identifier: Apache-2.0
"""Drawing one shard of a data set, in this process or in a worker process."""

from functools import cached_property
from pathlib import Path

import numpy as np

from fastmetro_mm.datasets.tsv_writer import TSVRow, TSVSetWriter
from fastmetro_mm.synthetic.figures import KINDS
from fastmetro_mm.synthetic.options import SyntheticSetOptions
from fastmetro_mm.synthetic.scene import Studio

SHARD_SIZE = 50
"""Samples in a shard. Fixed, because the last digits of a mesh depend on its batch."""
_SPLITS = ('train', 'test')


class ShardWriter:
    """Draws the shards of one set; the studio is built where drawing begins, once a process.

    Args:
        options: Options of the set.
        folder: Folder of the set.
    """

    def __init__(self, options: SyntheticSetOptions, folder: str | Path) -> None:
        self.options, self.folder = options, folder

    @cached_property
    def studio(self) -> Studio:
        """Where images are drawn."""
        options = self.options
        return Studio(options.kind, options.size, options.scene, options.backgrounds)

    def draw(self, name: tuple[str, int]) -> int:
        """Draws and writes the samples of one shard; they appear all at once, or not at all.

        Args:
            name: ``'train'`` or ``'test'``, and the number of the shard, counted from 0.

        Returns:
            Number of samples drawn.
        """
        options, studio = self.options, self.studio
        split, number = name
        first = number * SHARD_SIZE
        indices = range(first, min(first + SHARD_SIZE, options.splits()[split]))
        place = list(KINDS).index(options.kind), _SPLITS.index(split)
        # Every sample has randomness of its own, whichever process draws it and when.
        rngs = [np.random.default_rng((options.seed, *place, index)) for index in indices]
        plans = [studio.plan(rng) for rng in rngs]
        posed = studio.pose(plans)
        with TSVSetWriter(self.folder, split).shard(number) as shard:
            for index, rng, plan, figure in zip(indices, rngs, plans, posed, strict=True):
                sample = studio.draw(rng, plan, figure)
                shard.add(
                    TSVRow(
                        f'{options.kind}_{split}_{index:06d}.jpg', sample.image, sample.label,
                        (options.size[1], options.size[0]),
                    )
                )  # fmt: skip
        return len(indices)
