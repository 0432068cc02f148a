# SPDX-License-Identifier: Apache-2.0
"""Keep the criteria in full precision while the network runs under autocast.

Lengths of millimetres, squared, vanish beside the 1e-8 of the edge loss in half precision, and
bfloat16 has too few digits for a metre with millimetre differences.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def autocast_disabled(reference: Tensor) -> AbstractContextManager:
    """Context without autocast on the device of the reference tensor."""
    if not torch.amp.is_autocast_available(reference.device.type):
        return nullcontext()
    return torch.autocast(device_type=reference.device.type, enabled=False)


def cast_all(reference: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Cast tensors to float32, or to float64 where the reference prediction is float64."""
    dtype = torch.float64 if reference.dtype == torch.float64 else torch.float32
    return tuple(tensor.to(dtype) for tensor in tensors)
