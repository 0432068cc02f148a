# SPDX-License-Identifier: Apache-2.0
"""Criterion of the SMPL parameter head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mmpose.registry import MODELS
from torch import Tensor

from fastmetro_mm.body.joint_sets import SMPL24
from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.geometry.precision import full
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from fastmetro_mm.models.losses.criterion import MeshCriterion, check_shape
from fastmetro_mm.models.losses.masked_mean import label_mask, masked_difference
from fastmetro_mm.structures import MeshPrediction, MeshTargets


@dataclass
class ParameterCase:
    """A batch as the terms see it: parameters, and meshes centred on their pelvis, metres.

    Attributes:
        pred_cam: Weak perspective, without gradient (official). (B, 3)
        pred_rotmat: (B, 24, 3, 3)
        rotmat: Rotations of the labels. (B, 24, 3, 3)
        pred_betas: (B, 10)
        betas: (B, 10)
        joints: Joints of the posed mesh. (B, 14, 3)
        pred: Posed mesh. (B, 6890, 3)
        true: True mesh. (B, 6890, 3)
        joints_3d: Labels. (B, 14, 4)
        joints_2d: Labels. (B, 14, 3)
        has_3d: Flags. (B,)
        has_smpl: Flags. (B,)
        mask: ``has_smpl`` as booleans. (B,)
    """

    pred_cam: Tensor
    pred_rotmat: Tensor
    rotmat: Tensor
    pred_betas: Tensor
    betas: Tensor
    joints: Tensor
    pred: Tensor
    true: Tensor
    joints_3d: Tensor
    joints_2d: Tensor
    has_3d: Tensor
    has_smpl: Tensor
    mask: Tensor


@MODELS.register_module()
class SMPLParamLoss(MeshCriterion):
    """Losses on predicted SMPL rotations, betas, and on the mesh they give.

    ``total = weight * (smpl_rotmat + betas_weight * smpl_betas + smpl_j3d + smpl_j2d + smpl_v)``.

    Official training multiplies the rest by 1e-8 in the H36M stage, meaning the network to be
    frozen; AdamW divides that factor out again wherever the gradient is large against its eps of
    1e-8, and weight decay and running statistics go on. The estimator's ``freeze_mesh`` really
    freezes it, and its ``mesh_loss_weight=1e-8`` repeats the official factor.

    Args:
        body: as in :class:`FastMETROLoss`.
        weight: weight of the SMPL terms together.
        betas_weight: share of ``smpl_betas`` in them.
    """

    DEFAULT_BODY = 'smpl'
    JOINT_SET = 'j14'
    MISFIT = 'is a hand; SMPL parameters are for bodies'
    TERMS: ClassVar = dict(
        smpl_rotmat=lambda self, c: masked_difference(c.pred_rotmat, c.rotmat, c.mask, 2),
        smpl_betas=lambda self, c: masked_difference(c.pred_betas, c.betas, c.mask, 2),
        smpl_j3d=lambda self, c: self.joints_3d(c.joints, c.joints_3d, c.has_3d),
        smpl_j2d=lambda self, c: self.joints_2d(
            weak_perspective_project(c.joints, c.pred_cam), c.joints_2d
        ),
        smpl_v=lambda self, c: self.vertices(c.pred, c.true, c.has_smpl),
    )

    def __init__(self, body: Any = None, weight: float = 1000.0, betas_weight: float = 0.1) -> None:
        super().__init__(
            body,
            dict(
                smpl_rotmat=weight,
                smpl_betas=weight * betas_weight,
                smpl_j3d=weight,
                smpl_j2d=weight,
                smpl_v=weight,
            ),
        )

    def named(
        self,
        *,
        pred_rotmat: Tensor,
        pred_betas: Tensor,
        smpl_vertices: Tensor,
        pred_cam: Tensor,
        pose: Tensor,
        betas: Tensor,
        gt_vertices: Tensor,
        joints_3d: Tensor,
        joints_2d: Tensor,
        has_3d: Tensor,
        has_smpl: Tensor,
    ) -> tuple[MeshPrediction, MeshTargets]:
        """Prediction and targets from tensors by name.

        Args:
            pred_rotmat: (B, 24, 3, 3) rotations, 0 = global orientation.
            pred_betas: (B, 10).
            smpl_vertices: (B, 6890, 3) mesh of the predicted parameters, metres, any centre.
            pred_cam: (B, 3) camera of the mesh head; detached here (official).
            pose: (B, 72) true axis-angle pose, radians.
            betas: (B, 10) true betas.
            gt_vertices: (B, 6890, 3) true mesh, metres, any centre.
            joints_3d: (B, 24, 4) J24 metres and confidence.
            joints_2d: (B, 24, 3) J24 crop units and confidence.
            has_3d: (B,) flags.
            has_smpl: (B,) flags.
        """
        empty = pred_cam.new_empty(len(pred_cam), 0, 3)
        return (
            MeshPrediction(
                pred_cam,
                empty,
                empty,
                empty,
                rotmat=pred_rotmat,
                betas=pred_betas,
                smpl_vertices=smpl_vertices,
            ),
            MeshTargets(
                vertices=gt_vertices,
                joints_3d=joints_3d,
                joints_2d=joints_2d,
                pose=pose,
                betas=betas,
                has_3d=has_3d,
                has_smpl=has_smpl,
            ),
        )

    def prepare(self, prediction: MeshPrediction, targets: MeshTargets) -> ParameterCase:
        """Centre both meshes on their pelvis and turn labelled angles into matrices."""
        batch, count = len(prediction.rotmat), len(SMPL24)
        check_shape(prediction.rotmat, (count, 3, 3), 'pred_rotmat')
        check_shape(targets.pose, (count * 3,), 'pose')
        check_shape(
            prediction.betas,
            tuple(targets.betas.shape[1:]),
            'pred_betas',
            f', but betas have {tuple(targets.betas.shape)}',
        )
        self.check_levels(
            smpl_vertices=(prediction.smpl_vertices, 0), gt_vertices=(targets.vertices, 0)
        )
        vertices, joints = self.body.centre(full(prediction.smpl_vertices))
        return ParameterCase(
            pred_cam=full(prediction.pred_cam).detach(),
            pred_rotmat=full(prediction.rotmat),
            rotmat=axis_angle_to_rotmat(full(targets.pose).reshape(batch, count, 3)),
            pred_betas=full(prediction.betas),
            betas=full(targets.betas),
            joints=joints,
            pred=vertices,
            true=self.body.centre(full(targets.vertices))[0],
            joints_3d=self.select_labels(targets.joints_3d, 4, 'joints_3d'),
            joints_2d=self.select_labels(targets.joints_2d, 3, 'joints_2d'),
            has_3d=targets.has_3d,
            has_smpl=targets.has_smpl,
            mask=label_mask(targets.has_smpl, batch, 'has_smpl'),
        )
