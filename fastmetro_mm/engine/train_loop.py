# SPDX-License-Identifier: Apache-2.0
"""The loop over epochs, which can go on in the middle of one."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmengine.runner import EpochBasedTrainLoop
from mmpose.registry import LOOPS


@LOOPS.register_module()
class MeshTrainLoop(EpochBasedTrainLoop):
    """``EpochBasedTrainLoop`` that starts an interrupted epoch at its next batch.

    :class:`GracefulStopHook` notes in the message hub (``batches_done``) how much of the epoch
    was done when its checkpoint was written; the samplers draw the same order again.
    """

    def run_epoch(self) -> None:
        """Iterate one epoch, or what is left of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        first = self._first_batch()
        batches: Any = self.dataloader.batch_sampler
        whole = batches.sampler
        if first:
            batches.sampler = _Rest(whole, first * batches.batch_size)
        try:
            for index, batch in enumerate(self.dataloader, first):
                self.run_iter(index, batch)
        finally:
            batches.sampler = whole
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _first_batch(self) -> int:
        done, length = self.runner.message_hub.runtime_info.pop('batches_done', (0, 1))
        if not done:
            return 0
        first = (
            done if length == len(self.dataloader) else (done * len(self.dataloader) // length)
        )  # other batches or processes than then
        self.runner.logger.info(
            f'Going on in epoch {self._epoch + 1} at iteration {first + 1} of '
            f'{len(self.dataloader)}'
        )
        return first


class _Rest:
    """A sampler without its first samples."""

    def __init__(self, sampler: Any, skip: int) -> None:
        self.sampler = sampler
        self.skip = skip

    def __iter__(self) -> Iterator[int]:
        return islice(iter(self.sampler), self.skip, None)

    def __len__(self) -> int:
        return len(self.sampler)
