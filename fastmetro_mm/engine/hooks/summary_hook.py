# SPDX-License-Identifier: Apache-2.0
"""A summary line after every epoch and one after the training."""

import math
import time

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmpose.registry import HOOKS

from fastmetro_mm.engine.log_processor import format_duration

# Scalars of training that are no loss terms.
_NOT_TERMS = ('lr', 'momentum', 'time', 'memory', 'samples_per_second')


@HOOKS.register_module()
class TrainingSummaryHook(Hook):
    """Print epoch means of the loss terms, and at the end the best epoch of every metric.

    The scores of all epochs are kept in the message hub under ``history_of_validation`` and so in
    the checkpoints: after a resume the summary covers the whole training.

    Args:
        greater_keys: Metrics of which more is better; of all others less is better.
    """

    priority = 'LOW'

    def __init__(
        self, greater_keys: tuple[str, ...] = ('PCK', 'AUC', 'auc3d', 'f_score', 'f_al_score')
    ) -> None:
        self.greater_keys = tuple(greater_keys)
        self._start = self._epoch_start = time.time()
        self._first_epoch = 0

    def before_train(self, runner) -> None:
        """Start the clock."""
        self._start = time.time()
        self._first_epoch = runner.epoch

    def before_train_epoch(self, runner) -> None:
        """Start the clock of the epoch."""
        self._epoch_start = time.time()

    @master_only
    def after_train_epoch(self, runner) -> None:
        """One line with the mean of every loss term over the epoch."""
        length = len(runner.train_dataloader)
        scalars = runner.message_hub.log_scalars
        terms = '  '.join(
            f'{name.removeprefix("train/")} {buffer.mean(length):.4f}'
            for name, buffer in scalars.items()
            if name.startswith('train/') and not name.endswith(_NOT_TERMS)
        )
        seconds = time.time() - self._epoch_start
        runner.logger.info(
            f'Epoch {runner.epoch + 1}/{runner.max_epochs} trained in {format_duration(seconds)}  '
            f'mean of the epoch: {terms}'
        )
        summary = getattr(
            getattr(runner.train_dataloader, 'dataset', None), 'skipped_summary', None
        )
        line = summary() if summary is not None else None
        if line is not None:
            runner.logger.warning(line)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Remember the scores of this epoch (all ranks, so that their checkpoints agree)."""
        scores = {
            name: float(value)
            for name, value in (metrics or {}).items()
            if isinstance(value, (int, float)) or getattr(value, 'size', 0) == 1
        }
        history = runner.message_hub.runtime_info.get('history_of_validation', [])
        history = [entry for entry in history if entry['epoch'] != runner.epoch]
        history.append(dict(epoch=int(runner.epoch), scores=scores))
        runner.message_hub.update_info('history_of_validation', history)

    @master_only
    def after_train(self, runner) -> None:
        """The last line of a training run."""
        seconds = format_duration(time.time() - self._start)
        since = f' (resumed at {self._first_epoch})' if self._first_epoch else ''
        history = runner.message_hub.runtime_info.get('history_of_validation', [])
        line = f'Finished {runner.epoch} epochs{since} in {seconds}.'
        for name in dict.fromkeys(name for entry in history for name in entry['scores']):
            values = {
                entry['epoch']: entry['scores'][name]
                for entry in history
                if name in entry['scores'] and math.isfinite(entry['scores'][name])
            }
            if values:
                greater = any(key in name for key in self.greater_keys)
                best = (max if greater else min)(values, key=lambda epoch: values[epoch])
                line += f' Best {name} {values[best]:.4f} at epoch {best}.'
        runner.logger.info(f'{line} Everything is in {runner.work_dir}')
