# SPDX-License-Identifier: Apache-2.0
"""Hook that keeps mmengine checkpoints readable by ``torch.load(weights_only=True)``."""

import dataclasses
from collections import OrderedDict

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop
from mmpose.registry import HOOKS
from torch import nn

from fastmetro_mm.engine.checkpoints.format import from_plain, to_plain
from fastmetro_mm.engine.checkpoints.state_dict_check import check_state_dict
from fastmetro_mm.errors import CheckpointError
from fastmetro_mm.foreign_files.damage import naming
from fastmetro_mm.models.network_kind import model_kind


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Write plain checkpoints, rebuild them on load, and refuse those of another model.

    It runs last, so that it also sees what other hooks add to a checkpoint.

    Args:
        max_history: Entries kept per log scalar. mmengine's buffers hold a million and copy
            themselves at every iteration, which costs milliseconds per step and tens of
            megabytes per checkpoint in a long run. The complete history is in the JSON log.
            Must be at least the number of iterations of an epoch for epoch means to be exact.
    """

    priority = 'LOWEST'

    def __init__(self, max_history: int = 20000) -> None:
        self.max_history = max_history

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Replace everything but tensors and builtin values, in place."""
        for buffer in runner.message_hub.log_scalars.values():
            buffer.max_length = min(buffer.max_length, self.max_history)
        for key in list(checkpoint):
            checkpoint[key] = to_plain(checkpoint[key], key)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Rebuild log history and arrays, and compare the weights with the model.

        Raises:
            CheckpointError: if the weights are plainly those of another model.
        """
        for key in list(checkpoint):
            checkpoint[key] = from_plain(checkpoint[key])
        model = runner.model
        model = getattr(model, 'module', model)
        source = runner._load_from or f'the newest checkpoint of {runner.work_dir}'
        training = isinstance(runner._train_loop, BaseLoop)
        if hasattr(model, 'check_weights'):  # knows released files and partial loading too
            with naming(source):
                weights = model.check_weights(checkpoint)
                if not training:
                    _refuse_missing_head(model, weights)
        else:
            # Fine-tuning may take over a part of a network; a resumed or tested one must be whole.
            least = 0.1 if training and not runner._resume else 0.9
            weights = check_state_dict(model, checkpoint, source, least_match=least)
        # so that mmengine finds them, wherever they were in the file
        checkpoint['state_dict'] = OrderedDict(weights)


def _refuse_missing_head(model: nn.Module, weights: dict) -> None:
    """A test of an SMPL head must not score random parameters."""
    if model.smpl_head is None or any(name.startswith('smpl_head.') for name in weights):
        return
    kind = model_kind(model)
    config = None if kind is None else dataclasses.replace(kind, has_smpl_head=False).config
    other = f'{config or "the config they were trained with"} evaluates the mesh alone'
    raise CheckpointError(
        f'holds no SMPL head, which this config evaluates: give weights with one ({other})'
    )
