# SPDX-License-Identifier: Apache-2.0
"""Training progress in one readable line per interval."""

import datetime

from mmengine.dist import get_world_size
from mmengine.runner import LogProcessor
from mmpose.registry import LOG_PROCESSORS

# Scalars that the line shows anyway, or that are no loss terms.
_SHOWN = ('loss', 'lr', 'grad_norm', 'time', 'data_time', 'samples_per_second', 'memory')


def format_duration(seconds: float) -> str:
    """Hours, minutes and seconds, e.g. ``1:02:03``."""
    return str(datetime.timedelta(seconds=round(seconds)))


@LOG_PROCESSORS.register_module()
class MeshLogProcessor(LogProcessor):
    """mmengine's log processor with a shorter line.

    The line holds epoch, iteration, total loss (its mean over the last ``window_size`` iterations,
    those of the epoch before too; the summary of an epoch has the epoch's own), learning rate,
    gradient norm, throughput (of all ranks), the share of time spent waiting for data, GPU memory
    and the time left. All loss terms
    go to the JSON log and the visualizer backends at every interval, and to the summary of the
    epoch (:class:`TrainingSummaryHook`).

    Args:
        show_terms: Also print every loss term in the line.
        **kwargs: As ``LogProcessor``.
    """

    def __init__(self, show_terms: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.show_terms = show_terms

    def get_log_after_iter(self, runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """The scalars of this interval and the line to print."""
        tag, text = super().get_log_after_iter(runner, batch_idx, mode)
        if self.log_with_hierarchy:  # names carry a prefix then: keep mmengine's line
            return tag, text
        if mode != 'train':
            loader = runner.val_dataloader if mode == 'val' else runner.test_dataloader
            return tag, self._evaluation_line(runner, batch_idx, mode, len(loader), tag)
        batch_size = runner.train_dataloader.batch_size
        if batch_size is None:
            batch_size = getattr(runner.train_dataloader.batch_sampler, 'batch_size', 1)
        if tag.get('time', 0) > 0:
            tag['samples_per_second'] = batch_size * get_world_size() / tag['time']
        return tag, self._training_line(runner, batch_idx, tag)

    def _training_line(self, runner, batch_idx: int, tag: dict) -> str:
        length = len(runner.train_dataloader)
        if self.by_epoch:
            total = runner.max_epochs
            step = str(batch_idx + 1).rjust(len(str(length)))
            epoch = str(runner.epoch + 1).rjust(len(str(total)))
            where = f'Epoch {epoch}/{total} [{step}/{length}]'
        else:
            where = (
                f'Iter {str(runner.iter + 1).rjust(len(str(runner.max_iters)))}/{runner.max_iters}'
            )
        parts = [where]
        if 'loss' in tag:
            count = min(self.window_size, runner.iter + 1)
            parts.append(f'loss {tag["loss"]:.4f} (mean of last {count})')
        rates = {f'{value:.2e}' for key, value in tag.items() if key == 'lr' or key.endswith('.lr')}
        if rates:
            parts.append('lr ' + '/'.join(sorted(rates)))
        if 'grad_norm' in tag:
            parts.append(f'grad {tag["grad_norm"]:.3g}')
        if 'samples_per_second' in tag:
            parts.append(f'{tag["samples_per_second"]:.1f} samples/s')
        if tag.get('time', 0) > 0 and 'data_time' in tag:
            parts.append(f'data {100 * tag["data_time"] / tag["time"]:.0f}%')
        if 'memory' in tag:
            parts.append(f'memory {tag["memory"]} MB')
        if 'eta' in runner.message_hub.runtime_info:
            parts.append(f'ETA {format_duration(runner.message_hub.get_info("eta"))}')
        if self.show_terms:
            parts += [
                f'{name} {value:.4f}'
                for name, value in tag.items()
                if isinstance(value, float) and name not in _SHOWN
            ]
        return '  '.join(parts)

    @staticmethod
    def _evaluation_line(runner, batch_idx: int, mode: str, length: int, tag: dict) -> str:
        step = str(batch_idx + 1).rjust(len(str(length)))
        line = f'{"Validating" if mode == "val" else "Testing"} [{step}/{length}]'
        if tag.get('time', 0) > 0:
            line += f'  {tag["time"]:.3f} s/batch'
        if 'eta' in runner.message_hub.runtime_info:
            line += f'  ETA {format_duration(runner.message_hub.get_info("eta"))}'
        return line
