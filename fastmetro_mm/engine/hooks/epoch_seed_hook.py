# SPDX-License-Identifier: Apache-2.0
"""Make an epoch's random numbers depend on seed, epoch and rank only."""

import logging
import random

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
    """Reseed at the start of every training epoch, differently on every rank.

    A run that is resumed at an epoch then draws the same sample order, augmentations and dropout
    masks as one that was never interrupted, without random states in the checkpoint. It needs
    ``persistent_workers=False`` in the training data loader (workers that live on keep their
    generators); starting workers anew takes a fraction of a second per epoch.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner) -> None:
        """Pass the (maybe resumed) seed to the sampler and the data workers."""
        loader = runner.train_dataloader
        # mmengine builds the sampler before it takes the seed of the resumed checkpoint.
        for sampler in (loader.sampler, getattr(loader.batch_sampler, 'sampler', None)):
            if hasattr(sampler, 'seed'):
                sampler.seed = runner.seed
        if loader.num_workers > 0:
            loader.worker_init_fn = seed_data_worker
            if loader.persistent_workers:
                runner.logger.log(
                    logging.WARNING,
                    'train_dataloader.persistent_workers=True: after a resume the augmentations '
                    'differ from those of an uninterrupted run; set it to False to have them equal')

    def before_train_epoch(self, runner) -> None:
        """Seed Python, numpy and torch (all devices)."""
        sequence = np.random.SeedSequence([int(runner.seed), int(runner.epoch), get_rank()])
        seed = int(sequence.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the generator that transforms draw from
        torch.manual_seed(seed)
