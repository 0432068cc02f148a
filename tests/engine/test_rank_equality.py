# SPDX-License-Identifier: Apache-2.0
"""More processes or accumulated batches give the loss and gradients of one large batch.

This holds where nothing couples the samples of a batch: BatchNorm is frozen
(``backbone.norm_eval=True``), there is no dropout, and every sample has all labels. With missing
labels a masked mean divides by the labelled samples of its own batch, and DDP averages these means
over the ranks; so does the official code, and so do accumulated batches.
"""

import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import training_rank

TOTAL = 4


def take_step(config, world, accumulate, folder):
    """Start all ranks; mean of their logged losses, and the gradients of each rank."""
    folder.mkdir()
    # one clean server process imports the libraries once, ranks are forks of it
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(
        ['torch.distributed', 'fastmetro_mm.engine', 'fastmetro_mm.models']
    )
    ranks = [
        context.Process(
            target=training_rank.main, args=(config, rank, world, accumulate, TOTAL, folder)
        )
        for rank in range(world)
    ]
    try:
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join(timeout=120)
            assert rank.exitcode == 0
    finally:
        for rank in ranks:
            rank.kill()
    results = []
    for rank in range(world):
        with np.load(folder / f'rank_{rank}.npz') as file:
            results.append({name: file[name] for name in file.files})
    losses = np.mean([result.pop('losses') for result in results], axis=0)
    return losses, results


def relative_difference(value, expected):
    return np.linalg.norm(value - expected) / np.linalg.norm(expected)


@pytest.fixture(scope='module')
def large_batch(tmp_path_factory):
    """Loss and gradients of all samples in one batch of one process, by config."""
    folder = tmp_path_factory.mktemp('large_batch')
    done = {}

    def get(config):
        if config not in done:
            losses, results = take_step(config, 1, 1, folder / config)
            done[config] = losses, results[0]
        return done[config]

    return get


@pytest.mark.parametrize(
    ('config', 'world', 'accumulate'),
    [('quickstart', 2, 1), ('quickstart', 1, 2), ('quickstart', 2, 2), ('quickstart_hand', 2, 1)],
)
def test_equals_one_large_batch(config, world, accumulate, large_batch, tmp_path):
    losses, expected = large_batch(config)
    found, results = take_step(config, world, accumulate, tmp_path / 'ranks')
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    for gradients in results:
        assert gradients.keys() == expected.keys()
        together = [
            np.concatenate([values[name].ravel() for name in expected])
            for values in (gradients, expected)
        ]
        assert relative_difference(*together) < 1e-5
        for name, value in expected.items():
            # some biases have a gradient of exactly nothing but rounding
            tolerance = 1e-4 * np.linalg.norm(value) + 1e-7 * np.linalg.norm(together[1])
            assert np.linalg.norm(gradients[name] - value) <= tolerance, name
