# SPDX-License-Identifier: Apache-2.0
"""Make random numbers depend on seed, iteration and rank only, augmentations on seed and sample."""

import logging
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmpose.registry import HOOKS


def seed_data_worker(worker_id: int) -> None:
    """Seed numpy and Python in a data worker from the seed that torch gave it.

    torch draws that seed from the main process at the start of each epoch. mmengine's own
    function uses the same seed in every epoch, so that worker processes started anew per epoch
    would repeat their augmentations.
    """
    seed = torch.initial_seed() % 2**32
    np.random.seed(seed)  # noqa: NPY002 - the generator that transforms draw from
    random.seed(seed)


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Reseed before every training iteration, differently on every rank.

    A run that is resumed, at an epoch or within one, then draws the same sample order,
    augmentations and dropout masks as one that was never interrupted, without random states in
    the checkpoint.

    Data sets of this package are told a seed for every epoch and draw the augmentation of a sample
    from that and its index: the number of data workers and of processes changes nothing. Other
    data sets draw from their worker's generators; they need ``persistent_workers=False`` in the
    training data loader to draw the same after a resume.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner) -> None:
        """Pass the (maybe resumed) seed to the sampler and the data workers."""
        loader = runner.train_dataloader
        # mmengine builds the sampler before it takes the seed of the resumed checkpoint.
        for sampler in (loader.sampler, getattr(loader.batch_sampler, 'sampler', None)):
            if sampler is not None and hasattr(sampler, 'seed'):
                sampler.seed = runner.seed
        if loader.num_workers > 0:
            loader.worker_init_fn = seed_data_worker
            if loader.persistent_workers and not list(_seeded_sets(loader.dataset)):
                runner.logger.log(
                    logging.WARNING,
                    'train_dataloader.persistent_workers=True: after a resume the augmentations '
                    'differ from those of an uninterrupted run; set it to False to have them equal',
                )

    def before_train_epoch(self, runner) -> None:
        """Seed what loads the epoch's first batch."""
        seed = _mix(runner.seed, runner.epoch)
        for dataset in _seeded_sets(runner.train_dataloader.dataset):
            dataset.set_augmentation_seed(seed)
        _seed_all(_mix(runner.seed, runner.iter, get_rank()))

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Seed the forward pass; a resumed run has drawn other numbers to get here."""
        torch.manual_seed(_mix(runner.seed, runner.iter, get_rank()))

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Seed what loads the next batch, where the main process does."""
        _seed_all(_mix(runner.seed, runner.iter + 1, get_rank()))


def _seeded_sets(dataset: Any) -> Iterator[Any]:
    """Data sets that take an augmentation seed, within concatenated and wrapped ones too."""
    if hasattr(dataset, 'set_augmentation_seed'):
        yield dataset
        return
    parts = list(getattr(dataset, 'datasets', ())) or [getattr(dataset, 'dataset', None)]
    for part in parts:
        if part is not None:
            yield from _seeded_sets(part)


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence([int(number) for number in numbers]).generate_state(1)[0])


def _seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the generator that transforms draw from
    torch.manual_seed(seed)
