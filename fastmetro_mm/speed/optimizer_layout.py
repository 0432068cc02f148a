# SPDX-License-Identifier: Apache-2.0
"""Keep an optimizer's moments in the memory order of their weights."""

import torch
from torch.optim import Optimizer


def follow_weights(optimizer: Optimizer) -> int:
    """Lay out every state tensor as its weight is laid out.

    Fused AdamW goes through weight, gradient and moments as memory lies. Moments saved by a run
    with images in another order (channels last on a CPU, not so on a GPU) would be paired with
    the wrong weights, without any error.

    Args:
        optimizer: Optimizer after its state was loaded.

    Returns:
        How many tensors were laid out anew.
    """
    changed = 0
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if (
                isinstance(value, torch.Tensor)
                and value.shape == weight.shape
                and value.stride() != weight.stride()
            ):
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)
                changed += 1
    return changed
