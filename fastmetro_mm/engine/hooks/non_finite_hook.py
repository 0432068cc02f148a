# SPDX-License-Identifier: Apache-2.0
"""Stop, or pass over a batch, when a loss or gradient is no number."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank, is_distributed
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapperDict
from mmengine.structures import BaseDataElement
from mmpose.registry import HOOKS
from torch.optim import Optimizer

from fastmetro_mm.engine.checkpoints.format import to_plain
from fastmetro_mm.errors import ConfigError, TrainingError
from fastmetro_mm.fileio import write_atomically

POLICIES = ('stop', 'skip')


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Keep NaN and infinity out of the weights and out of the checkpoints.

    The gradients are looked at right before the optimizer would use them; a step with a gradient
    that is no finite number is not taken, so the weights stay those of the step before. After
    several processes have averaged their gradients all of them see the same and decide the same.
    The batch is written to ``non_finite_iter_N.pth`` in the work directory (with several
    processes each writes its own), readable with ``torch.load(weights_only=True)``.

    With float16 the loss scaler passes over infinite gradients by itself, as it should; there the
    loss alone is watched.

    Args:
        policy: ``'stop'``: end the training with an error. ``'skip'``: leave the step out, restore
            the running statistics of BatchNorm, say so and go on.
        max_in_a_row: With ``'skip'``: stop after so many steps left out one after the other.
        max_dumps: Most batches written by one process.

    Raises:
        ConfigError: For another policy.
    """

    # before the losses go to the log
    priority = 'HIGHEST'

    def __init__(self, policy: str = 'stop', max_in_a_row: int = 10, max_dumps: int = 3) -> None:
        if policy not in POLICIES:
            raise ConfigError(f"NonFiniteHook policy={policy!r}: expected 'stop' or 'skip'")
        self.policy = policy
        self.max_in_a_row = max_in_a_row
        self.max_dumps = max_dumps
        self._in_a_row = self._dumps = 0
        self._step_left_out = self._step_taken = False
        self._hubs: list[MessageHub | None] = []  # of the optimizers whose steps are seen
        self._statistics: list[tuple[torch.Tensor, torch.Tensor]] = []

    def before_train(self, runner) -> None:
        """Look at the gradients before every step from now on."""
        wrappers = runner.optim_wrapper
        wrappers = wrappers.values() if isinstance(wrappers, OptimWrapperDict) else [wrappers]
        for wrapper in wrappers:
            # float16: infinite gradients are the scaler's way of finding its scale
            if getattr(wrapper, 'loss_scaler', None) is not None:
                continue
            clips = bool(getattr(wrapper, 'clip_grad_kwargs', None))
            hub = wrapper.message_hub if clips and wrapper.grad_name == 'grad_norm' else None

            def check(optimizer: Optimizer, *_, hub: MessageHub | None = hub) -> None:
                self._before_step(optimizer, hub)

            wrapper.optimizer.register_step_pre_hook(check)
            self._hubs.append(hub)
        if self.policy == 'skip':
            self._statistics = [
                (buffer, buffer.clone())
                for buffer in runner.model.buffers()
                if buffer.is_floating_point()
            ]

    def _before_step(self, optimizer: Optimizer, hub: MessageHub | None) -> None:
        if hub is not None:  # clipping has just computed the norm
            norm = hub.get_scalar('train/grad_norm').current()
        else:
            norms = [
                torch.linalg.vector_norm(parameter.grad)
                for group in optimizer.param_groups
                for parameter in group['params']
                if parameter.grad is not None
            ]
            norm = float(torch.linalg.vector_norm(torch.stack(norms))) if norms else 0.0
        if math.isfinite(norm):
            self._step_taken = True
            return
        self._step_left_out = True
        # optimizers pass over parameters without a gradient: no decay, no moments, no step count
        for group in optimizer.param_groups:
            for parameter in group['params']:
                parameter.grad = None

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Remember the running statistics, which the forward pass changes."""
        self._step_left_out = self._step_taken = False
        for buffer, saved in self._statistics:
            saved.copy_(buffer)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Stop or go on after a step that was left out.

        Raises:
            TrainingError: If the policy says so; the message names the batch's file.
        """
        outputs = {} if outputs is None else outputs
        bad = [name for name, value in outputs.items() if not _is_finite(value)]
        if not self._step_left_out and 'loss' not in bad:
            if self._step_taken or not self._hubs:
                self._in_a_row = 0
            return
        self._in_a_row += 1
        what = (
            f'{", ".join(bad)} {"are" if len(bad) > 1 else "is"} not finite'
            if bad
            else ('the gradient is not finite')
        )
        where = f'iteration {runner.iter + 1} (epoch {runner.epoch + 1})'
        dump = self._dump(runner, data_batch, outputs)
        if self.policy == 'stop':
            raise TrainingError(
                f'{where}: {what}: the step was not taken, no checkpoint was written since; '
                f'{dump}; lower the learning rate or look at this batch, then go on with --resume, '
                'or leave such steps out with --cfg-options default_hooks.non_finite.policy=skip'
            )
        if self._in_a_row >= self.max_in_a_row:
            raise TrainingError(
                f'{where}: {what}, as in {self._in_a_row - 1} iterations before: the weights do '
                f'not recover; {dump}; lower the learning rate and go on with --resume'
            )
        runner.logger.warning(f'{where}: {what}: this step is left out; {dump}')
        for buffer, saved in self._statistics:
            buffer.copy_(saved)
        for name in bad:  # else every mean that they enter would be NaN
            del outputs[name]
        for hub in self._hubs:
            if hub is not None:
                _forget_last(hub.log_scalars.get('train/grad_norm'))

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Refuse to write weights that are no numbers.

        Raises:
            TrainingError: Naming the first such tensor.
        """
        for part in ('state_dict', 'ema_state_dict'):
            bad = [
                name
                for name, value in checkpoint.get(part, {}).items()
                if isinstance(value, torch.Tensor)
                and value.is_floating_point()
                and not bool(torch.isfinite(value).all())
            ]
            if bad:
                last = runner.message_hub.runtime_info.get('last_ckpt')
                good = f'go on from {last}' if last else 'start again'
                raise TrainingError(
                    f'epoch {runner.epoch + 1}: {len(bad)} tensors of the network hold NaN or '
                    f'infinity (first: {bad[0]}): no checkpoint is written; lower the learning '
                    f'rate and {good}'
                )

    def _dump(self, runner, data_batch: Any, outputs: Mapping) -> str:
        """Write the batch; says where it is, or why not."""
        if self._dumps >= self.max_dumps:
            return f'its batch is not written, {self._dumps} are already'
        self._dumps += 1
        rank = f'_rank_{get_rank()}' if is_distributed() else ''
        path = Path(runner.work_dir) / f'non_finite_iter_{runner.iter + 1}{rank}.pth'
        content = dict(
            iter=runner.iter + 1,
            epoch=runner.epoch + 1,
            outputs={name: torch.as_tensor(value).detach() for name, value in outputs.items()},
            batch=_to_containers(data_batch),
        )
        buffer = io.BytesIO()
        torch.save(to_plain(content), buffer)
        try:
            write_atomically(path, buffer.getvalue())
        except OSError as error:
            return f'its batch could not be written ({error.filename}: {error.strerror})'
        return f'its batch is in {path}'


def _is_finite(value: Any) -> bool:
    return bool(torch.isfinite(torch.as_tensor(value).detach()).all())


def _to_containers(value: Any) -> Any:
    """Data samples as dicts, so that a plain checkpoint can hold them."""
    if isinstance(value, BaseDataElement):
        fields = dict(value.items())
        return dict(
            metainfo=dict(value.metainfo_items()),
            **{name: _to_containers(field) for name, field in fields.items()},
        )
    if isinstance(value, Mapping):
        return {name: _to_containers(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_containers(item) for item in value]
    return value


def _forget_last(buffer) -> None:
    """Give the last entry of a log history no weight in the means."""
    if buffer is None:
        return
    log, count = buffer.data
    if len(log) and not math.isfinite(log[-1]):
        log[-1] = count[-1] = 0
