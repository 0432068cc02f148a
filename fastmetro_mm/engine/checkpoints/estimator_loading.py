# SPDX-License-Identifier: Apache-2.0
"""Load a file into our estimator, for inference."""

from collections import OrderedDict

from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from fastmetro_mm.engine.checkpoints.loading import read_from
from fastmetro_mm.foreign_files.damage import naming
from fastmetro_mm.models.weight_loading import THIS


def load_for_estimator(model: nn.Module, filename: str) -> dict:
    """Load a file into our estimator.

    Args:
        model: The estimator.
        filename: File or ``http(s)://`` address.

    Returns:
        The whole checkpoint.

    Raises:
        CheckpointError: It cannot be read, or belongs to another network; names the file.
    """
    checkpoint = read_from(filename)
    with naming(filename, THIS):
        load_state_dict(model, OrderedDict(checkpoint.get('state_dict', checkpoint)))
    return checkpoint
