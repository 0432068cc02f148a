# SPDX-License-Identifier: Apache-2.0
"""L1 loss on mesh vertices."""

from __future__ import annotations

from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.models.losses.masked_mean import blank_unlabelled, label_mask, masked_mean


def check_same_mesh(pred: Tensor, target: Tensor, name: str) -> None:
    """Raise one clear error unless both meshes have the same shape (B, V, 3)."""
    if pred.dim() != 3 or pred.shape[-1] != 3:
        raise ValueError(f'{name}: vertices must have shape (B, V, 3), got {tuple(pred.shape)}')
    if pred.shape != target.shape:
        raise ValueError(
            f'{name}: predicted vertices {tuple(pred.shape)} and true vertices '
            f'{tuple(target.shape)} must have the same shape'
        )


@MODELS.register_module()
class MeshVertexLoss(nn.Module):
    """Mean absolute difference of the vertices of the samples with a mesh label, in metres."""

    def forward(self, pred: Tensor, target: Tensor, has_mesh: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            pred: (B, V, 3) metres.
            target: (B, V, 3) metres, same centre.
            has_mesh: (B,), 1 where the sample has a mesh.

        Returns:
            Scalar, 0 if no sample has a mesh.

        Raises:
            ValueError: if shapes do not fit.
        """
        check_same_mesh(pred, target, 'vertices')
        mask = label_mask(has_mesh, pred.shape[0], 'has_smpl')
        difference = blank_unlabelled(pred, mask) - blank_unlabelled(target, mask)
        return masked_mean(difference.abs(), mask)
