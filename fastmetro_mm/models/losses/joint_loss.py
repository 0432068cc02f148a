# SPDX-License-Identifier: Apache-2.0
"""Confidence-weighted L1 losses on 3D joints and on projected joints."""

from __future__ import annotations

from collections.abc import Sequence

from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.body.joint_regression import centre_on
from fastmetro_mm.models.losses.masked_mean import blank_unlabelled, label_mask, masked_mean


def check_joint_shapes(pred: Tensor, target: Tensor, columns: int, name: str) -> None:
    """Raise one clear error unless pred is (B, J, columns) and target (B, J, columns + 1)."""
    if pred.dim() != 3 or pred.shape[-1] != columns:
        raise ValueError(
            f'{name}: predictions must have shape (B, J, {columns}), got {tuple(pred.shape)}'
        )
    expected = (*pred.shape[:2], columns + 1)
    if tuple(target.shape) != expected:
        raise ValueError(
            f'{name}: targets must have shape {expected} (coordinates and '
            f'confidence), got {tuple(target.shape)}'
        )


@MODELS.register_module()
class MeshJoint3DLoss(nn.Module):
    """L1 between root-centred 3D joints, in metres.

    The mean runs over all joints and coordinates of the labelled samples, *including* the entries
    whose confidence is zero; this is the official normalisation.

    Args:
        root: joints whose mean is the origin on both sides; (2, 3), the two hips of J14, for
            bodies, (0,), the wrist, for hands.
    """

    def __init__(self, root: Sequence[int] = (2, 3)) -> None:
        super().__init__()
        self.root = tuple(root)

    def forward(self, pred: Tensor, target: Tensor, has_3d: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            pred: (B, J, 3) metres, any centre.
            target: (B, J, 4) metres, any centre; last column confidence.
            has_3d: (B,), 1 where the sample has 3D joints.

        Returns:
            Scalar, 0 if no sample has 3D joints.

        Raises:
            ValueError: if shapes do not fit.
        """
        check_joint_shapes(pred, target, 3, 'joints_3d')
        mask = label_mask(has_3d, pred.shape[0], 'has_3d')
        pred, target = blank_unlabelled(pred, mask), blank_unlabelled(target, mask)
        difference = centre_on(pred, self.root) - centre_on(target[..., :3], self.root)
        return masked_mean(target[..., 3:] * difference.abs(), mask)


@MODELS.register_module()
class MeshJoint2DLoss(nn.Module):
    """L1 between projected and labelled 2D joints, in crop units (the crop spans [-1, 1]).

    Official: only the confidence column gates the term, the ``has_2d`` flag is not consulted, and
    the mean runs over the whole batch, so that samples without 2D labels dilute it.
    """

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            pred: (B, J, 2).
            target: (B, J, 3), last column confidence.

        Returns:
            Scalar.

        Raises:
            ValueError: if shapes do not fit.
        """
        check_joint_shapes(pred, target, 2, 'joints_2d')
        return (target[..., 2:] * (pred - target[..., :2]).abs()).mean()
