# SPDX-License-Identifier: Apache-2.0
"""Joints, pelvis and mesh levels of a body, as the criteria need them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.joint_sets import H36M17_TO_J14, J24_TO_J14
from fastmetro_mm.body.mesh_sampling import MeshSampling
from fastmetro_mm.errors import ConfigError


def resolve_assets(body: Any, default: str) -> Any:
    """Find the mesh data of a body.

    Args:
        body: None for the default body, a name, a dict with ``name`` and optionally
            ``body_data_root``, or a ready ``BodyAssets``.
        default: name of the default body.

    Returns:
        The ``BodyAssets``.

    Raises:
        ValueError: if ``body`` is none of these.
    """
    if body is None:
        return load_body_assets(default)
    if isinstance(body, str):
        return load_body_assets(body)
    if isinstance(body, dict):
        unknown = set(body) - {'name', 'body_data_root'}
        if unknown:
            raise ConfigError(f'body: unknown keys {sorted(unknown)}; '
                             "use dict(name=..., body_data_root=...)")
        return load_body_assets(body.get('name', default), body.get('body_data_root'))
    if hasattr(body, 'num_vertices') and hasattr(body, 'down'):
        return body
    raise ConfigError('body: expected a name, dict(name=..., body_data_root=...) or BodyAssets, '
                     f'got {type(body).__name__}')


def check_mesh_size(vertices: Tensor, count: int, name: str) -> None:
    """Raise one clear error unless vertices are (B, count, 3)."""
    if vertices.dim() != 3 or tuple(vertices.shape[1:]) != (count, 3):
        raise ConfigError(f'{name}: expected shape (B, {count}, 3), got {tuple(vertices.shape)}; '
                         'is the criterion built for the body of the network?')


class BodyGeometry(nn.Module):
    """H36M pelvis, J14 joints and simplified meshes of a body mesh.

    Buffers are not persistent: they come from files and must not enter checkpoints.

    Args:
        assets: ``BodyAssets`` of a body with three levels.
    """

    def __init__(self, assets: Any) -> None:
        super().__init__()
        if assets.is_hand:
            raise ConfigError(f"body '{assets.name}' is a hand; use HandMeshLoss for hands")
        self.num_vertices = tuple(assets.num_vertices)
        self.sampling = MeshSampling(assets, method='gather')
        regressor = np.asarray(assets.J_regressor_h36m, dtype=np.float64)
        # row 0 of the H36M set is the pelvis
        rows = np.concatenate([regressor[:1], regressor[list(H36M17_TO_J14)]])
        self.register_buffer('regressor', torch.from_numpy(rows).float(), persistent=False)
        # a buffer, because a Python list would be copied to the device at every step
        self.register_buffer('j14_of_j24', torch.tensor(list(J24_TO_J14)), persistent=False)

    def select_j14(self, labels: Tensor, columns: int, name: str) -> Tensor:
        """Reduce labels (B, 24, columns) in J24 order to J14.

        Raises:
            ValueError: if the shape is another one.
        """
        if labels.dim() != 3 or tuple(labels.shape[1:]) != (24, columns):
            raise ConfigError(f'{name}: expected shape (B, 24, {columns}) (J24 order, last column '
                             f'confidence), got {tuple(labels.shape)}')
        return labels.index_select(1, self.j14_of_j24)

    def pelvis(self, vertices: Tensor) -> Tensor:
        """H36M pelvis (B, 3) of the full mesh (B, V, 3)."""
        return torch.matmul(self.regressor[:1].to(vertices.dtype), vertices)[:, 0]

    def pelvis_and_joints(self, vertices: Tensor) -> tuple[Tensor, Tensor]:
        """H36M pelvis (B, 3) and J14 joints (B, 14, 3) of the full mesh (B, V, 3)."""
        points = torch.matmul(self.regressor.to(vertices.dtype), vertices)
        return points[:, 0], points[:, 1:]

    def levels(self, vertices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pelvis-centred fine, intermediate and coarse mesh.

        All levels are shifted by the pelvis of the *fine* mesh (official training code).

        Args:
            vertices: (B, V, 3) metres, any centre.
        """
        pelvis = self.pelvis(vertices)[:, None]
        mid = self.sampling.down(vertices, 0, 1)
        coarse = self.sampling.down(mid, 1, 2)
        return vertices - pelvis, mid - pelvis, coarse - pelvis
