# SPDX-License-Identifier: Apache-2.0
"""Inputs both sides of a comparison get: images, labels, weights."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import torch
from torch import Tensor


def images(batch: int, size: int = 224) -> Tensor:
    """Normalised images of noise. Shape (B, 3, size, size)."""
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(7))


def rule_weights(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights that follow from the official names and shapes alone.

    Random, of a size that keeps signals alive, and the same on both sides.
    """
    filled = {}
    for name, old in state_dict.items():
        if name.endswith('num_batches_tracked'):
            filled[name] = torch.zeros_like(old)
            continue
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        n = torch.randn(old.shape, generator=generator)
        if name.endswith('running_var'):
            filled[name] = 1 + 0.1 * n.abs()
        elif old.dim() >= 2:
            filled[name] = n / old[0].numel() ** 0.5
        elif name.endswith('.weight'):
            filled[name] = 1 + 0.1 * n
        else:
            filled[name] = 0.1 * n
    return filled


def labels(batch: int, seed: int = 1) -> dict[str, Tensor]:
    """Complete labels of people in arbitrary small poses."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    ones = torch.ones(batch, 24, 1)
    return dict(
        joints_2d=torch.cat((0.5 * normal(batch, 24, 2), ones), dim=2),
        joints_3d=torch.cat((0.4 * normal(batch, 24, 3), ones), dim=2),
        pose=0.2 * normal(batch, 72),
        betas=normal(batch, 10),
        has_smpl=torch.ones(batch),
        has_2d=torch.ones(batch),
        has_3d=torch.ones(batch),
    )


def official_names(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same labels under the names of the official loader."""
    renamed = dict(has_2d='has_2d_joints', has_3d='has_3d_joints')
    return {renamed.get(name, name): value for name, value in ours.items()}


def training_batch(batch: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Images and labels, named as the official loader names them."""
    return images(batch), official_names(labels(batch))


def evaluation_batches(samples: int, batch: int) -> list[tuple[dict, dict]]:
    """Raw outputs of a network and the official labels, for a whole set."""
    batches = []
    for start in range(0, samples, batch):
        size = min(batch, samples - start)
        generator = torch.Generator().manual_seed(start)
        outputs = dict(
            camera=torch.randn(size, 3, generator=generator),
            vertices=0.3 * torch.randn(size, 6890, 3, generator=generator),
        )
        batches.append((outputs, official_names(labels(size, seed=start))))
    return batches
