# SPDX-License-Identifier: Apache-2.0
"""Edge-length and surface-normal losses on a mesh level.

Source of the terms: I2L-MeshNet, in the form used by the official FastMETRO training code.
"""

from __future__ import annotations

import numpy as np
import torch
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional

from fastmetro_mm.models.losses.masked_mean import blank_unlabelled, label_mask, masked_mean
from fastmetro_mm.models.losses.vertex_loss import check_same_mesh


def index_table(rows: Tensor | np.ndarray, width: int, name: str) -> Tensor:
    """Check an edge or face list and return it as contiguous int64 (N, width)."""
    # numpy tables are copied: cached ones may be read-only
    rows = rows if isinstance(rows, Tensor) else torch.tensor(rows)
    if rows.dim() != 2 or rows.shape[1] != width or rows.shape[0] == 0:
        raise ValueError(
            f'{name}: expected an index table of shape (N, {width}), got {tuple(rows.shape)}'
        )
    return rows.to(torch.int64).contiguous()


def sides_of(faces: Tensor) -> Tensor:
    """The three sides of each face as one (3F, 2) list; inner edges occur twice."""
    return torch.cat([faces[:, [0, 1]], faces[:, [0, 2]], faces[:, [1, 2]]])


def edge_lengths(vertices: Tensor, edges: Tensor) -> Tensor:
    """Smoothed lengths ``sqrt(|a - b|^2 + 1e-8)``.

    The constant is the official one; it keeps the gradient finite where both ends coincide.

    Args:
        vertices: (B, V, 3).
        edges: (E, 2).

    Returns:
        (B, E).
    """
    ends = vertices[:, edges[:, 0]] - vertices[:, edges[:, 1]]
    return torch.sqrt(ends.square().sum(dim=-1) + 1e-8)


@MODELS.register_module()
class EdgeLengthLoss(nn.Module):
    """Mean absolute difference between predicted and true edge lengths, in metres.

    Args:
        edges: (E, 2) vertex indices. The official body files are used as they are, spurious
            entries included; the official hand loss passes the three sides of every face.
    """

    edges: Tensor

    def __init__(self, edges: Tensor | np.ndarray) -> None:
        super().__init__()
        self.register_buffer('edges', index_table(edges, 2, 'edges'), persistent=False)

    def forward(self, pred: Tensor, target: Tensor, has_mesh: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            pred: (B, V, 3) metres.
            target: (B, V, 3) metres.
            has_mesh: (B,), 1 where the sample has a mesh.

        Returns:
            Scalar, 0 if no sample has a mesh.

        Raises:
            ValueError: if shapes do not fit.
        """
        check_same_mesh(pred, target, 'edge lengths')
        mask = label_mask(has_mesh, pred.shape[0], 'has_smpl')
        pred_lengths = edge_lengths(blank_unlabelled(pred, mask), self.edges)
        true_lengths = edge_lengths(blank_unlabelled(target, mask), self.edges)
        return masked_mean((pred_lengths - true_lengths).abs(), mask)


@MODELS.register_module()
class EdgeSelfLoss(nn.Module):
    """Mean predicted edge length in metres, a weak pull towards a compact mesh.

    Args:
        edges: (E, 2) vertex indices.
    """

    edges: Tensor

    def __init__(self, edges: Tensor | np.ndarray) -> None:
        super().__init__()
        self.register_buffer('edges', index_table(edges, 2, 'edges'), persistent=False)

    def forward(self, pred: Tensor, has_mesh: Tensor) -> Tensor:
        """Compute the loss over the samples with a mesh.

        Args:
            pred: (B, V, 3) metres.
            has_mesh: (B,), 1 where the sample has a mesh (official: gated although no label is
                used).

        Returns:
            Scalar, 0 if no sample has a mesh.
        """
        check_same_mesh(pred, pred, 'edge lengths')
        mask = label_mask(has_mesh, pred.shape[0], 'has_smpl')
        return masked_mean(edge_lengths(blank_unlabelled(pred, mask), self.edges), mask)


@MODELS.register_module()
class FaceNormalLoss(nn.Module):
    """Mean absolute cosine between predicted triangle sides and the true face normal.

    Args:
        faces: (F, 3) vertex indices.
    """

    faces: Tensor

    def __init__(self, faces: Tensor | np.ndarray) -> None:
        super().__init__()
        self.register_buffer('faces', index_table(faces, 3, 'faces'), persistent=False)

    def _sides(self, vertices: Tensor) -> Tensor:
        """Unit sides v1-v0, v2-v0, v2-v1 of every face, (B, 3, F, 3)."""
        first, second, third = (vertices[:, self.faces[:, i]] for i in range(3))
        sides = torch.stack([second - first, third - first, third - second], dim=1)
        return functional.normalize(sides, dim=-1)

    def forward(self, pred: Tensor, target: Tensor, has_mesh: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            pred: (B, V, 3) metres.
            target: (B, V, 3) metres.
            has_mesh: (B,), 1 where the sample has a mesh.

        Returns:
            Scalar in [0, 1], 0 if no sample has a mesh.

        Raises:
            ValueError: if shapes do not fit.
        """
        check_same_mesh(pred, target, 'face normals')
        mask = label_mask(has_mesh, pred.shape[0], 'has_smpl')
        pred, target = blank_unlabelled(pred, mask), blank_unlabelled(target, mask)
        true_sides = self._sides(target)
        # the cross product of *normalised* sides, normalised again: the official order, which
        # decides what a sliver face contributes in float32
        normals = functional.normalize(
            torch.linalg.cross(true_sides[:, 0], true_sides[:, 1], dim=-1), dim=-1
        )
        cosines = (self._sides(pred) * normals[:, None]).sum(dim=-1)
        return masked_mean(cosines.abs(), mask)
