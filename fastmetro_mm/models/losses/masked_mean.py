# SPDX-License-Identifier: Apache-2.0
"""Means over the samples that carry a label, without data-dependent shapes.

Official training code picks the labelled rows with a boolean index, which on a GPU waits for the
device and changes tensor shapes from step to step. Here unlabelled rows are blanked and their terms
counted with weight zero, which gives the same value, keeps every shape fixed (so the step can be
compiled or captured) and leaves a graph with zero gradients when no sample is labelled.
"""

from __future__ import annotations

import torch
from torch import Tensor


def label_mask(flags: Tensor, batch_size: int, name: str) -> Tensor:
    """Turn a ``has_*`` flag into a boolean mask.

    Args:
        flags: ``batch_size`` numbers or booleans, any shape; labelled where equal to 1.
        batch_size: expected number of entries.
        name: name used in the error message.

    Returns:
        Boolean tensor (B,).

    Raises:
        ValueError: if the number of entries is not the batch size.
    """
    if flags.numel() != batch_size:
        raise ValueError(
            f'{name}: expected one flag for each of the {batch_size} samples, '
            f'got shape {tuple(flags.shape)}'
        )
    return flags.reshape(batch_size) == 1


def blank_unlabelled(values: Tensor, mask: Tensor) -> Tensor:
    """Set the rows without a label to zero.

    A select and not a product: an absent label may hold anything, and 0 * nan is nan both in the
    value and in the gradient.

    Args:
        values: (B, ...).
        mask: boolean (B,).
    """
    shape = (mask.shape[0],) + (1,) * (values.dim() - 1)
    return torch.where(
        mask.reshape(shape), values, torch.zeros((), dtype=values.dtype, device=values.device)
    )


def masked_difference(pred: Tensor, target: Tensor, mask: Tensor, power: int) -> Tensor:
    """Mean absolute (1) or squared (2) difference over the labelled rows.

    Args:
        pred: (B, ...).
        target: (B, ...); rows without a label may hold anything.
        mask: boolean (B,).
        power: 1 or 2.

    Returns:
        Scalar tensor.
    """
    difference = blank_unlabelled(pred, mask) - blank_unlabelled(target, mask)
    return masked_mean(difference.abs() if power == 1 else difference.square(), mask)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over all entries of the labelled rows, 0 where there is none.

    Args:
        values: (B, ...), finite in every row (see :func:`blank_unlabelled`).
        mask: boolean (B,).

    Returns:
        Scalar tensor.
    """
    per_sample = values.flatten(1).mean(dim=1)
    weights = mask.to(per_sample.dtype)
    return (per_sample * weights).sum() / weights.sum().clamp(min=1.0)
