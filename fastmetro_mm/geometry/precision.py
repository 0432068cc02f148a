# SPDX-License-Identifier: Apache-2.0
"""Keep geometry out of automatic mixed precision."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> AbstractContextManager:
    """Context in which autocast does not lower the precision of products.

    Half precision resolves a metre to about a millimetre; meshes, joints and rotations are
    therefore computed in float32 also while a network trains under autocast.

    Args:
        tensor: Any tensor of the computation; tells the device.

    Returns:
        A context manager. It does nothing where autocast is off, so that exported graphs hold
        no autocast region.
    """
    device_type = tensor.device.type
    if not torch.is_autocast_enabled(device_type):
        return nullcontext()
    return torch.autocast(device_type=device_type, enabled=False)
