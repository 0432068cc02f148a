# SPDX-License-Identifier: Apache-2.0
"""End a training that is told to, by SIGTERM, with a checkpoint and an exit code of its own."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterable
from pathlib import Path

import torch
from mmengine.dist import all_reduce, all_reduce_params, is_distributed, is_main_process
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop
from mmpose.registry import HOOKS

from fastmetro_mm.engine.checkpoints.atomic_backend import ATOMIC_LOCAL
from fastmetro_mm.engine.checkpoints.resume import INTERRUPTED_PATTERN
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.fileio import write_atomically

EXIT_CODE = 75
"""Exit code of a training that was told to end and can go on with ``--resume``.

``EX_TEMPFAIL`` of sysexits.h: try again later.
"""

STOPPED_FILE_VARIABLE = 'FASTMETRO_STOPPED_FILE'
"""Environment variable: a file to create once the checkpoint is there (tools/dist_train.sh)."""


@HOOKS.register_module()
class GracefulStopHook(Hook):
    """On SIGTERM finish the iteration, write a checkpoint and end with exit code 75.

    Cluster schedulers send SIGTERM (or what ``--signal`` says) before they take a machine away.
    The checkpoint, ``interrupted_iter_N.pth``, lies in the work directory and ``last_checkpoint``
    names it: ``--resume`` goes on at that iteration, with the same samples, augmentations and
    dropout as a training that was never interrupted. In a validation nothing is written, because
    the checkpoint of that epoch is there already; the resumed run makes up for the validation.

    Several processes agree after every iteration whether one of them was told to end.

    Args:
        signals: Names of the signals.

    Raises:
        ConfigError: For a name that is no signal here.
    """

    # after everything else that happens in an iteration
    priority = 'LOWEST'

    def __init__(self, signals: Iterable[str] = ('SIGTERM', 'SIGUSR1')) -> None:
        self.signals = tuple(signals)
        unknown = [name for name in self.signals if not hasattr(signal, name)]
        if unknown:
            raise ConfigError(
                f'GracefulStopHook signals={list(self.signals)}: this system has no '
                f'{", ".join(unknown)}'
            )
        self._received: str | None = None
        self._replaced: dict = {}

    def before_train(self, runner) -> None:
        """Listen for the signals.

        They are blocked as well, and looked for between iterations. Data workers inherit the
        block: one that died of a signal to the whole job would take the training with it before
        its checkpoint. They still end when the main process does, which they watch.
        """
        self._received = None
        if threading.current_thread() is not threading.main_thread():
            return  # Python delivers signals to the main thread only
        numbers = [getattr(signal, name) for name in self.signals]
        # a thread that does not block a signal hands it to Python's handler
        self._replaced = {number: signal.signal(number, self._receive) for number in numbers}
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def after_train(self, runner) -> None:
        """Listen no longer."""
        self.stop_listening()

    def stop_listening(self) -> None:
        """Give the signals back to whoever had them; the runner does so however a training ends.

        A process that keeps them blocked hands the block on to every process it starts.
        """
        self._restore()

    def _receive(self, number: int, frame=None) -> None:
        self._received = signal.Signals(number).name

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Write a checkpoint and end, if told to and if the optimizer has just stepped."""
        loop = runner.train_loop
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        length = len(loop.dataloader)
        if not self._is_told() or (by_epoch and batch_idx + 1 == length):
            return  # an epoch that is complete ends as usual
        wrapper = runner.optim_wrapper
        if isinstance(wrapper, OptimWrapper) and not wrapper.should_update():
            return  # gradients that wait for the next iterations are in no checkpoint
        if by_epoch:
            runner.message_hub.update_info('batches_done', [batch_idx + 1, length])
        self._save(runner, runner.epoch, runner.iter + 1)
        self._leave(runner)

    def after_train_epoch(self, runner) -> None:
        """End between epoch and validation, if told to."""
        if not self._is_told():
            return
        last = runner.message_hub.runtime_info.get('last_ckpt')
        if last is None or not str(last).endswith(f'epoch_{runner.epoch + 1}.pth'):
            self._save(runner, runner.epoch + 1, runner.iter)
        self._leave(runner)

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """End in the validation of a training, if told to."""
        if not self._replaced or not self._is_told():
            return
        last = runner.message_hub.runtime_info.get('last_ckpt')
        if last is None or not Path(last).is_file():
            self._save(runner, runner.epoch, runner.iter)
        self._leave(runner)

    def _is_told(self) -> bool:
        """Whether any process got a signal; all of them must ask at the same time."""
        for number in signal.sigpending() & self._replaced.keys():
            self._receive(number)
        told = torch.tensor(int(self._received is not None))
        if is_distributed():
            all_reduce(told, 'max')
        return bool(told)

    def _save(self, runner, epoch: int, iteration: int) -> None:
        if is_distributed():  # as at the end of an epoch: one set of BatchNorm statistics for all
            all_reduce_params(runner.model.buffers(), op='mean')
        name = INTERRUPTED_PATTERN.replace('*', str(iteration))
        path = os.path.join(runner.work_dir, name)
        runner.message_hub.update_info('last_ckpt', path)
        runner.save_checkpoint(
            runner.work_dir,
            name,
            meta=dict(epoch=epoch, iter=iteration),
            by_epoch=False,
            backend_args=dict(backend=ATOMIC_LOCAL),
        )
        if is_main_process():
            write_atomically(Path(runner.work_dir) / 'last_checkpoint', path.encode(), sync=True)

    def _leave(self, runner) -> None:
        self._restore()
        last = runner.message_hub.runtime_info.get('last_ckpt')
        runner.logger.warning(
            f'Told to end ({self._received or "another process was"}): epoch {runner.epoch + 1}, '
            f'iteration {runner.iter + 1}. {last} is written; go on with --resume'
        )
        marker = os.environ.get(STOPPED_FILE_VARIABLE)
        if marker and is_main_process():
            with contextlib.suppress(OSError):  # the script that wants to know is gone
                Path(marker).touch()
        raise SystemExit(EXIT_CODE)

    def _restore(self) -> None:
        while pending := signal.sigpending() & self._replaced.keys():
            signal.sigwait(pending)  # done with; unblocked it would end the process
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._replaced)
        for number, handler in self._replaced.items():
            signal.signal(number, handler)
        self._replaced = {}


def remove_interrupted(folder: str | os.PathLike) -> None:
    """Delete the checkpoints of interruptions, once a regular one has been written after them."""
    for path in Path(folder).glob(INTERRUPTED_PATTERN):
        path.unlink(missing_ok=True)
