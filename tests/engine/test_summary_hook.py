# SPDX-License-Identifier: Apache-2.0
"""What is said at the end of an epoch and of a training."""

import logging
from types import SimpleNamespace

import pytest
from mmengine.logging import HistoryBuffer, MessageHub

from fastmetro_mm.engine import TrainingSummaryHook
from fastmetro_mm.engine.log_processor import MeshLogProcessor


@pytest.fixture
def runner(caplog):
    caplog.set_level(logging.INFO)
    hub = MessageHub('summary_hook_test')
    hub.log_scalars['train/loss'] = HistoryBuffer([9.0, 2.0, 4.0], [1, 1, 1])
    return SimpleNamespace(
        epoch=0,
        max_epochs=2,
        message_hub=hub,
        logger=logging.getLogger('summary_hook_test'),
        work_dir='work',
        train_dataloader=[0, 1],
    )


class Loader(list):
    """Two batches over a data set that says this."""

    def __init__(self, summary):
        super().__init__([0, 1])
        self.dataset = SimpleNamespace(skipped_summary=lambda: summary)


def test_epoch_means_and_skipped_rows_are_said(runner, caplog):
    hook = TrainingSummaryHook()
    runner.train_dataloader = Loader('train.yaml: 3 of 10 rows cannot be used')
    hook.after_train_epoch(runner)
    text = [record.getMessage() for record in caplog.records]
    # the mean of the last epoch's two iterations
    assert any('mean of the epoch: loss 3.0000' in line for line in text)
    assert 'train.yaml: 3 of 10 rows cannot be used' in text


def test_nothing_is_said_where_nothing_was_skipped(runner, caplog):
    hook = TrainingSummaryHook()
    runner.train_dataloader = Loader(None)
    hook.after_train_epoch(runner)
    assert len(caplog.records) == 1


def test_last_line_names_the_best_epochs(runner, caplog):
    hook = TrainingSummaryHook()
    hook.before_train(runner)
    for epoch, score, share in ((1, 90.0, 0.5), (2, 70.0, 0.4)):
        runner.epoch = epoch
        hook.after_val_epoch(runner, {'PA-MPJPE': score, 'PCK@50mm': share, 'xyz_al_auc3d': share})
    hook.after_train(runner)
    last = caplog.records[-1].getMessage()
    assert 'Best PA-MPJPE 70.0000 at epoch 2' in last
    assert 'Best PCK@50mm 0.5000 at epoch 1' in last
    assert 'Best xyz_al_auc3d 0.5000 at epoch 1' in last


@pytest.mark.parametrize(('iteration', 'count'), [(3, 4), (70, 50)])
def test_running_loss_says_over_what_it_is_averaged(runner, iteration, count):
    """A window of iterations, across epochs; beside it stands the epoch's own mean."""
    log = MeshLogProcessor(window_size=50)
    runner.iter = iteration
    line = log._training_line(runner, 1, dict(loss=2.5, lr=1e-4))
    assert line.startswith('Epoch 1/2 [2/2]')
    assert f'loss 2.5000 (mean of last {count})' in line
