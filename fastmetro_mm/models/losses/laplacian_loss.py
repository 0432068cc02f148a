# SPDX-License-Identifier: Apache-2.0
"""Loss on how each vertex lies to its neighbours. Not part of the official training."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.models.losses.edge_normal_loss import index_table
from fastmetro_mm.models.losses.fastmetro_loss import FastMETROLoss
from fastmetro_mm.models.losses.masked_mean import blank_unlabelled, label_mask, masked_mean
from fastmetro_mm.models.losses.vertex_loss import check_same_mesh


@MODELS.register_module()
class LaplacianLoss(nn.Module):
    """Mean absolute difference of predicted and true Laplacian coordinates, in metres.

    The uniform Laplacian coordinate of a vertex is its position minus the mean of its neighbours
    (Sorkine et al., Laplacian Surface Editing, 2004). A vertex loss weighs a spike like a limb that
    is a little off; here a limb that moved whole costs nothing and a spike its full height.

    Args:
        edges: (E, 2) vertex indices, each edge once. A vertex without an edge is left out.
        num_vertices: V.
    """

    edges: Tensor
    shares: Tensor

    def __init__(self, edges: Tensor | np.ndarray, num_vertices: int) -> None:
        super().__init__()
        edges = index_table(edges, 2, 'edges')
        both = torch.cat([edges, edges.flip(1)])
        self.register_buffer('edges', both, persistent=False)
        neighbours = torch.bincount(both[:, 0], minlength=num_vertices)
        shares = 1 / neighbours[both[:, 0]].to(torch.float32)
        self.register_buffer('shares', shares[:, None], persistent=False)

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
        check_same_mesh(pred, target, 'Laplacian coordinates')
        mask = label_mask(has_mesh, pred.shape[0], 'has_smpl')
        # linear, so that one pass over the difference does
        difference = blank_unlabelled(pred, mask) - blank_unlabelled(target, mask)
        start, end = self.edges.unbind(1)
        steps = (difference[:, start] - difference[:, end]) * self.shares.to(difference.dtype)
        coordinates = torch.zeros_like(difference).index_add(1, start, steps)
        return masked_mean(coordinates.abs(), mask)


@MODELS.register_module()
class SmoothMeshLoss(FastMETROLoss):
    """FastMETRO's loss and ``laplacian``, on the middle level: for a training of minutes.

    Args:
        body: As for :class:`FastMETROLoss`.
        laplacian_weight: Weight of ``laplacian``.
        settings: Of :class:`FastMETROLoss`.
    """

    TERMS: ClassVar = dict(
        FastMETROLoss.TERMS,
        laplacian=lambda self, c: self.laplacian(c.pred[1], c.true[1], c.has_smpl),
    )

    def __init__(self, body: Any = None, laplacian_weight: float = 1000.0, **settings: Any) -> None:
        super().__init__(body, **settings)
        self.weights = {**self.weights, 'laplacian': laplacian_weight}
        assets = self.body.assets
        self.laplacian = LaplacianLoss(assets.loss_edges, assets.num_vertices[1])
