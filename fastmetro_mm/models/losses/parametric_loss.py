# SPDX-License-Identifier: Apache-2.0
"""Criterion of ``ParametricMeshHead``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mmpose.registry import MODELS
from torch import Tensor

from fastmetro_mm.body.joint_sets import SMPL24, SMPL24_PARENTS
from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.geometry.precision import full
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat, global_rotations
from fastmetro_mm.models.losses.criterion import MeshCriterion, check_shape
from fastmetro_mm.models.losses.masked_mean import label_mask, masked_difference
from fastmetro_mm.structures import MeshPrediction, MeshTargets


@dataclass
class ParametricCase:
    """A batch as the terms see it, metres, centred on the root.

    Attributes:
        pred_turns: Rotations against the camera. (B, 24, 3, 3)
        turns: Those of the labels. (B, 24, 3, 3)
        pred_betas: (B, 10)
        betas: (B, 10)
        pred: Vertices. (B, V, 3)
        true: Vertices of the labels. (B, V, 3)
        joints: (B, 14, 3)
        joints_3d: Labels. (B, 14, 4)
        places: Joints on the crop. (B, 14, 2)
        joints_2d: Labels. (B, 14, 3)
        has_3d: Flags. (B,)
        has_smpl: Flags. (B,)
        mask: ``has_smpl`` as booleans. (B,)
    """

    pred_turns: Tensor
    turns: Tensor
    pred_betas: Tensor
    betas: Tensor
    pred: Tensor
    true: Tensor
    joints: Tensor
    joints_3d: Tensor
    places: Tensor
    joints_2d: Tensor
    has_3d: Tensor
    has_smpl: Tensor
    mask: Tensor


@MODELS.register_module()
class ParametricBodyLoss(MeshCriterion):
    """L1 on rotations against the camera, vertices, joints and their places, L2 on the shape.

    The weights are those that the shipped model was trained with.

    Args:
        body: The network's body.
        rotation_weight: Of the mean absolute difference of matrix entries.
        vertices_weight: Of the vertices, metres.
        joints_3d_weight: Of the 14 joints, metres.
        joints_2d_weight: Of the 14 places on the crop, which spans [-1, 1].
        betas_weight: Of the mean square of shape coefficients.
    """

    DEFAULT_BODY = 'open_body'
    JOINT_SET = 'j14'
    MISFIT = 'is a hand; ParametricBodyLoss is for bodies'
    TERMS: ClassVar = dict(
        rotation=lambda self, c: masked_difference(c.pred_turns, c.turns, c.mask, 1),
        betas=lambda self, c: masked_difference(c.pred_betas, c.betas, c.mask, 2),
        vertices=lambda self, c: self.vertices(c.pred, c.true, c.has_smpl),
        joints_3d=lambda self, c: self.joints_3d(c.joints, c.joints_3d, c.has_3d),
        joints_2d=lambda self, c: self.joints_2d(c.places, c.joints_2d),
    )

    def __init__(
        self,
        body: Any = None,
        rotation_weight: float = 1.0,
        vertices_weight: float = 4.0,
        joints_3d_weight: float = 12.0,
        joints_2d_weight: float = 3.0,
        betas_weight: float = 0.02,
    ) -> None:
        super().__init__(
            body,
            dict(
                rotation=rotation_weight,
                betas=betas_weight,
                vertices=vertices_weight,
                joints_3d=joints_3d_weight,
                joints_2d=joints_2d_weight,
            ),
        )

    def prepare(self, prediction: MeshPrediction, targets: MeshTargets) -> ParametricCase:
        """Turn labels into rotations against the camera and a centred mesh."""
        batch, count = len(prediction.rotmat), len(SMPL24)
        check_shape(targets.pose, (count * 3,), 'pose')
        self.check_levels(vertices=(prediction.vertices, 0), gt_vertices=(targets.vertices, 0))
        local = axis_angle_to_rotmat(full(targets.pose).reshape(batch, count, 3))
        joints = full(prediction.joints)
        return ParametricCase(
            pred_turns=global_rotations(full(prediction.rotmat), SMPL24_PARENTS),
            turns=global_rotations(local, SMPL24_PARENTS),
            pred_betas=full(prediction.betas),
            betas=full(targets.betas),
            pred=full(prediction.vertices),
            true=self.body.centre(full(targets.vertices))[0],
            joints=joints,
            joints_3d=self.select_labels(targets.joints_3d, 4, 'joints_3d'),
            places=weak_perspective_project(joints, full(prediction.pred_cam)),
            joints_2d=self.select_labels(targets.joints_2d, 3, 'joints_2d'),
            has_3d=targets.has_3d,
            has_smpl=targets.has_smpl,
            mask=label_mask(targets.has_smpl, batch, 'has_smpl'),
        )
