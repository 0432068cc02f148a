# SPDX-License-Identifier: Apache-2.0
"""Tell a checkpoint of another model from one that fits, in one sentence."""

from collections.abc import Mapping

import torch
from torch import nn

from fastmetro_mm.errors import CheckpointError
from fastmetro_mm.foreign_files.damage import naming
from fastmetro_mm.foreign_files.state_dicts import find_weights, strip_prefixes


def check_state_dict(
    model: nn.Module, checkpoint: Mapping, source: str, least_match: float = 0.9
) -> dict[str, torch.Tensor]:
    """Raise if the weights are plainly those of another model.

    mmengine only warns about missing keys and wrong shapes, and a test then runs with random
    weights.

    Args:
        model: The model that the weights are meant for.
        checkpoint: A checkpoint with a ``state_dict``, or a bare state dict.
        source: Name of the checkpoint for the message.
        least_match: Share of the model's tensors that must be present with the same shape.

    Returns:
        The weights under the model's names.

    Raises:
        CheckpointError: with the counts and the first tensor that does not fit.
    """
    own = model.state_dict()
    with naming(source):
        given = strip_prefixes(find_weights(checkpoint), own)
    wanted = {
        key: value.shape
        for key, value in own.items()
        # BatchNorm counters are absent in old files and change no prediction.
        if isinstance(value, torch.Tensor) and not key.endswith('num_batches_tracked')
    }
    if not wanted:
        return given
    wrong = [key for key, shape in wanted.items() if key not in given or given[key].shape != shape]
    matched = len(wanted) - len(wrong)
    if matched >= least_match * len(wanted) and matched > 0:
        return given
    first = wrong[0]
    found = f'has shape {tuple(given[first].shape)}' if first in given else 'is missing'
    raise CheckpointError(
        f'{source}: these are weights of another model: only {matched} of {len(wanted)} tensors of '
        f'{type(model).__name__} fit (first: {first} {found}, expected {tuple(wanted[first])}): '
        'give the checkpoint that belongs to this config'
    )
