# SPDX-License-Identifier: Apache-2.0
"""Keep geometry out of automatic mixed precision.

Half precision resolves a metre to about a millimetre, and lengths of millimetres, squared, vanish
beside the 1e-8 of the edge loss. Meshes, joints, rotations and criteria are therefore computed in
float32 also while a network trains under autocast.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> AbstractContextManager:
    """Context in which autocast does not lower the precision of products.

    Args:
        tensor: Any tensor of the computation; tells the device.

    Returns:
        A context manager. It does nothing where autocast is off, so that exported graphs hold
        no autocast region.
    """
    device_type = tensor.device.type
    available = torch.amp.is_autocast_available(device_type)
    if not (available and torch.is_autocast_enabled(device_type)):
        return nullcontext()
    return torch.autocast(device_type=device_type, enabled=False)


def full(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in float64 where it is that already."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
