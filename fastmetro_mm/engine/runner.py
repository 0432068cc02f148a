# SPDX-License-Identifier: Apache-2.0
"""mmengine's Runner with distributed CPU training, safe resume and a quiet terminal."""

import functools
import logging
import os
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import DefaultScope
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from mmengine.runner.checkpoint import load_state_dict
from mmengine.visualization import Visualizer
from mmpose.registry import RUNNERS
from torch import nn

from fastmetro_mm.engine.checkpoints.loading import read_from
from fastmetro_mm.engine.checkpoints.resume import check_resumable, find_resume_checkpoint
from fastmetro_mm.engine.checkpoints.schemes import our_loaders
from fastmetro_mm.engine.distributed import (
    MeshDistributedDataParallel,
    end_with_launcher,
    init_cpu_process_group,
)
from fastmetro_mm.engine.hooks.graceful_stop_hook import GracefulStopHook
from fastmetro_mm.engine.train_loop import MeshTrainLoop
from fastmetro_mm.errors import CheckpointError, ConfigError, TrainingError
from fastmetro_mm.fileio import NO_SPACE
from fastmetro_mm.foreign_files.damage import naming
from fastmetro_mm.foreign_files.state_dicts import find_weights
from fastmetro_mm.speed.allocator import keep_freed_memory
from fastmetro_mm.speed.cpu_training import train_on_cpu
from fastmetro_mm.speed.cuda_training import train_on_gpu
from fastmetro_mm.speed.optimizer_layout import follow_weights

# Remarks of mmengine about itself that a user can do nothing about.
_REMARKS = (
    'Exp name: ',
    'Distributed training is not used',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'The prefix is not set in metric class',
)

_TIMESTAMPS: set[str] = set()
"""Of the runs of this process."""
_OF_A_RUN = (MMLogger, MessageHub, Visualizer, DefaultScope)
"""What anybody in mmengine may ask for the latest made."""


class ShortMessageFilter(logging.Filter):
    """Keep tables of many lines (environment, config, hooks) out of the terminal.

    They are in the log file.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is shown."""
        text = record.getMessage().strip()
        if text.startswith(_REMARKS):
            return False
        return record.levelno > logging.INFO or text.count('\n') < 3


def _import_path(cls: type | str) -> str:
    return cls if isinstance(cls, str) else f'{cls.__module__}.{cls.__qualname__}'


def _checked(loop: Any) -> Any:
    """The loop, with metrics of ours asked whether they suit its data (see ``SampleMetric``)."""
    for metric in loop.evaluator.metrics:
        if hasattr(metric, 'check_dataset'):
            metric.check_dataset(loop.dataloader.dataset)
    return loop


@RUNNERS.register_module()
class MeshRunner(Runner):
    """``Runner`` for this package's tools.

    - Without GPUs a distributed run uses gloo; the model wrapper is
      :class:`MeshDistributedDataParallel` unless the config names another.
    - ``resume=True`` goes on from the newest checkpoint that can be read.
    - The terminal shows progress only; the log file has everything (so does the terminal with
      ``log_level='DEBUG'``).
    """

    def setup_env(self, env_cfg: dict) -> None:
        """Start the processes' communication and mmengine's environment."""
        if self.launcher == 'pytorch':
            end_with_launcher()
        if self.distributed and not is_distributed() and get_device() == 'cpu':
            timeout = env_cfg.get('dist_cfg', {}).get('timeout', 1800)
            init_cpu_process_group(self.launcher, timeout)
        if get_device() == 'cpu':
            keep_freed_memory()
        super().setup_env(env_cfg)
        # mmengine names all that belongs to a run by this, down to the second: of two runs of a
        # second, the later one would log, count and draw into the folder of the first
        second, number = self._timestamp, 2
        while self._timestamp in _TIMESTAMPS:
            self._timestamp, number = f'{second}_{number}', number + 1
        _TIMESTAMPS.add(self._timestamp)

    def build_logger(self, log_level: int | str = 'INFO', **kwargs) -> MMLogger:
        """Build the logger and quieten the terminal."""
        logger = super().build_logger(log_level=log_level, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handleError = functools.partial(_end_log_file, logger, handler)
                handler.emit = functools.partial(_emit, handler)
        if log_level not in ('DEBUG', logging.DEBUG):
            for handler in logger.handlers:
                # A FileHandler is a StreamHandler too, so the exact type is compared.
                if type(handler) is logging.StreamHandler:
                    handler.addFilter(ShortMessageFilter())
                    if handler.formatter is not None:
                        handler.formatter.datefmt = '%H:%M:%S'
        return logger

    def build_visualizer(self, visualizer: Any = None) -> Visualizer:
        """Build the run's own visualizer, also where the config names it as an earlier run's."""
        if isinstance(visualizer, dict):
            name = visualizer.get('name')
            if name is not None and Visualizer.check_instance_created(name):
                visualizer = {**visualizer, 'name': self._experiment_name}
        return super().build_visualizer(visualizer)

    def val(self) -> dict:
        """Validate; see mmengine."""
        self._be_current()
        return super().val()

    def test(self) -> dict:
        """Test; see mmengine."""
        self._be_current()
        return super().test()

    def _be_current(self) -> None:
        """Be whom others ask for the current logger and so on, not the run that was made last."""
        own = {self._experiment_name, self.visualizer.instance_name}
        for kind in _OF_A_RUN:
            for name in own & set(kind._instance_dict):
                kind._instance_dict.move_to_end(name)

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the loop and compare the metrics with the data, before the training begins."""
        return _checked(super().build_val_loop(loop))

    def build_test_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the loop and compare the metrics with the data, before the first batch."""
        return _checked(super().build_test_loop(loop))

    def wrap_model(self, model_wrapper_cfg: dict | None, model: Any) -> nn.Module:
        """Move the model to its device and wrap it for several processes."""
        if self.distributed:
            wrapper = dict(model_wrapper_cfg or {})
            if model_wrapper_cfg is None and 'find_unused_parameters' in self.cfg:
                wrapper['find_unused_parameters'] = self.cfg['find_unused_parameters']
            # mmengine looks the type up by name only, classes fail.
            wrapper['type'] = _import_path(wrapper.get('type', MeshDistributedDataParallel))
            model_wrapper_cfg = wrapper
        if get_device() == 'cpu' and hasattr(model, 'use_channels_last'):
            model.use_channels_last()  # measured to be faster there, in float32 and bfloat16
            train_on_cpu(model)
        if self.cfg.get('env_cfg', {}).get('cuda_graphs') and get_device() == 'cuda':
            self._replay_graphs(model)
        return super().wrap_model(model_wrapper_cfg, model)

    def _replay_graphs(self, model: Any) -> None:
        """Train with CUDA graphs, where that gives the same gradients."""
        accumulates = (self.cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1) > 1
        if self.distributed or accumulates:
            raise ConfigError(
                'env_cfg.cuda_graphs=True is for one process without accumulated gradients: '
                f'{"train on one GPU" if self.distributed else "drop accumulative_counts"}, or '
                'set it to False'
            )
        train_on_gpu(model)

    def train(self) -> nn.Module:
        """Train; see mmengine.

        Raises:
            TrainingError: If the disk is full; names the file and what is kept.
        """
        self._be_current()
        try:
            return super().train()
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            last = self.message_hub.runtime_info.get('last_ckpt')
            kept = last if last and Path(last).is_file() else find_resume_checkpoint(self.work_dir)
            raise TrainingError(
                f'{error.filename or self.log_dir}: {error.strerror}: '
                f'{f"{kept} is whole; " if kept else ""}make room there, then go on with '
                '--resume, or choose another folder with --work-dir'
            ) from error
        finally:
            for hook in self.hooks:
                if isinstance(hook, GracefulStopHook):
                    hook.stop_listening()

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop; mmengine's loop over epochs becomes :class:`MeshTrainLoop`."""
        if isinstance(loop, dict):
            kind = loop.get('type', EpochBasedTrainLoop if loop.get('by_epoch') else None)
            if kind in (EpochBasedTrainLoop, 'EpochBasedTrainLoop'):
                loop = {name: value for name, value in loop.items() if name != 'by_epoch'}
                loop['type'] = MeshTrainLoop
        return super().build_train_loop(loop)

    def _init_model_weights(self) -> None:
        with our_loaders():
            super()._init_model_weights()

    def load_checkpoint(
        self, filename: str, map_location: Any = None, strict: bool = False, revise_keys: Any = None
    ) -> dict:
        """Read a checkpoint restricted, onto the CPU, and load it; see mmengine.

        ``map_location`` and ``revise_keys`` are of no use: entries go to the device of the
        network, and prefixes are recognised.

        Raises:
            CheckpointError: If it cannot be read, or training cannot be resumed from it.
        """
        checkpoint = read_from(filename)
        if self._resume:
            check_resumable(checkpoint, filename, self.optim_wrapper)
        if 'state_dict' not in checkpoint:  # hooks of mmengine look for it there
            with naming(filename):
                checkpoint = {**checkpoint, 'state_dict': find_weights(checkpoint)}
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        load_state_dict(model, OrderedDict(checkpoint['state_dict']), strict)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Go on from a checkpoint, or from the newest one of a work directory; see mmengine.

        Raises:
            CheckpointError: If training cannot go on from it.
        """
        if os.path.isdir(filename):
            newest = find_resume_checkpoint(filename)
            if newest is None:
                raise CheckpointError(f'{filename}: holds no checkpoint to resume from')
            filename = newest
            self.logger.info(f'Resuming from {filename}')
        self._resume = True
        super().resume(filename, *args, **kwargs)
        wrappers = self.optim_wrapper
        for wrapper in wrappers.values() if isinstance(wrappers, OptimWrapperDict) else [wrappers]:
            if isinstance(wrapper, OptimWrapper):
                follow_weights(wrapper.optimizer)

    def load_or_resume(self) -> None:
        """Resume from the newest readable checkpoint, or load what the config names."""
        if self._has_loaded:
            return
        if self._resume and self._load_from is None:
            newest = find_resume_checkpoint(self.work_dir)
            if newest is None:
                self.logger.info(
                    f'No checkpoint to resume in {self.work_dir}: starting from the beginning'
                )
                self._resume = False
                return
            self.logger.info(f'Resuming from {newest}')
            self.resume(newest)
            return
        super().load_or_resume()


def _emit(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    """Write a line; a file that cannot be opened again is no error of whoever logs.

    It was closed if somebody configured logging anew since, as uvicorn does when it starts.
    """
    try:
        type(handler).emit(handler, record)
    except OSError:
        handler.handleError(record)


def _end_log_file(logger: MMLogger, handler: logging.FileHandler, record) -> None:
    """Go on without a log file that cannot be written, and say so once."""
    error = sys.exc_info()[1]
    logger.removeHandler(handler)
    reason = getattr(error, 'strerror', None) or error
    logger.warning(f'{handler.baseFilename}: {reason}: this log file ends here')


def build_runner(cfg: Config) -> Runner:
    """The runner that ``cfg.runner_type`` names (e.g. ``FlexibleRunner``), else ours."""
    kind = cfg.get('runner_type')
    if kind is None:
        return MeshRunner.from_cfg(cfg)
    # ours alone: other runners hand the whole of env_cfg to a function that does not know it
    if cfg.get('env_cfg', {}).pop('cuda_graphs', False):
        raise ConfigError(
            f'env_cfg.cuda_graphs=True is for our own runner, not for runner_type={kind!r}: leave '
            'one of them out'
        )
    runners: Any = RUNNERS  # takes a whole config, whatever its annotation says
    return runners.build(cfg) if isinstance(kind, str) else kind.from_cfg(cfg)


def leave_process_group() -> None:
    """End the communication of a distributed run, so that torch has nothing to complain about."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
