# SPDX-License-Identifier: Apache-2.0
"""Parts of the network, forward and backward, driven alike for both sides."""

from __future__ import annotations

from collections.abc import Callable

import torch
from inputs import rule_weights
from torch import Tensor, nn
from workers import Commands


def drive_smpl_head(commands: Commands, head: nn.Module, batch: int, repeat: int) -> None:
    """An SMPL parameter regressor on middle meshes, ``repeat`` times a turn.

    Args:
        commands: Turns.
        head: From meshes (B, 1723, 3) to rotations (B, 24, 3, 3) and betas (B, 10).
        batch: B.
        repeat: Times a turn.
    """
    head.load_state_dict(rule_weights(head.state_dict()))
    head.train()
    generator = torch.Generator().manual_seed(3)
    shapes = (batch, 1723, 3), (batch, 24, 3, 3), (batch, 10)
    meshes, *gradients = (torch.randn(shape, generator=generator) for shape in shapes)
    for _ in commands:
        for _ in range(repeat):
            head.zero_grad()
            rotmat, betas = head(meshes)
            torch.autograd.backward((rotmat, betas), gradients)
    commands.outputs['rotmat'] = rotmat.detach().numpy()
    commands.outputs['gradient'] = head.regressor[3].weight.grad.numpy()


def drive_mesh_sampling(
    commands: Commands,
    up: Callable[[Tensor], Tensor],
    down: Callable[[Tensor], Tensor],
    batch: int,
    repeat: int,
) -> None:
    """Sampling between all levels, ``repeat`` times a turn.

    Args:
        commands: Turns.
        up: From the coarse mesh (B, 431, 3) to the full one (B, 6890, 3).
        down: The other way.
        batch: B.
        repeat: Times a turn.
    """
    generator = torch.Generator().manual_seed(5)
    shapes = (batch, 431, 3), (batch, 6890, 3)
    coarse, fine = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    gradients = [torch.randn(shape, generator=generator) for shape in reversed(shapes)]
    for _ in commands:
        for _ in range(repeat):
            results = up(coarse), down(fine)
            back = torch.autograd.grad(results, (coarse, fine), gradients)
    commands.outputs['up'] = results[0].detach().numpy()
    commands.outputs['gradient'] = back[0].numpy()
