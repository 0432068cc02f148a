# SPDX-License-Identifier: Apache-2.0
"""Criterion of the SMPL parameter head."""

from __future__ import annotations

from typing import Any

from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.body.joint_sets import J14_HIPS, SMPL24
from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from fastmetro_mm.models.losses.body_geometry import BodyGeometry, check_mesh_size, resolve_assets
from fastmetro_mm.models.losses.joint_loss import MeshJoint2DLoss, MeshJoint3DLoss
from fastmetro_mm.models.losses.masked_mean import blank_unlabelled, label_mask, masked_mean
from fastmetro_mm.models.losses.precision import autocast_disabled, cast_all
from fastmetro_mm.models.losses.vertex_loss import MeshVertexLoss


@MODELS.register_module()
class SMPLParamLoss(nn.Module):
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

    def __init__(self,
                 body: Any = None,
                 weight: float = 1000.0,
                 betas_weight: float = 0.1) -> None:
        super().__init__()
        self.geometry = BodyGeometry(resolve_assets(body, default='smpl'))
        self.joints_3d = MeshJoint3DLoss(root=J14_HIPS)
        self.joints_2d = MeshJoint2DLoss()
        self.vertices = MeshVertexLoss()
        self.weights = dict(
            smpl_rotmat=weight,
            smpl_betas=weight * betas_weight,
            smpl_j3d=weight,
            smpl_j2d=weight,
            smpl_v=weight)

    def forward(self,
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
                has_smpl: Tensor) -> dict[str, Tensor]:
        """Compute every term and the total.

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

        Returns:
            The unweighted terms ``smpl_rotmat smpl_betas smpl_j3d smpl_j2d smpl_v`` and
            ``total``, their weighted sum.

        Raises:
            ValueError: if a shape does not fit.
        """
        batch, count = pred_rotmat.shape[0], len(SMPL24)
        fine = self.geometry.num_vertices[0]
        if tuple(pred_rotmat.shape) != (batch, count, 3, 3):
            raise ValueError(f'pred_rotmat: expected shape (B, {count}, 3, 3), '
                             f'got {tuple(pred_rotmat.shape)}')
        if tuple(pose.shape) != (batch, count * 3):
            raise ValueError(f'pose: expected shape ({batch}, {count * 3}), '
                             f'got {tuple(pose.shape)}')
        if pred_betas.shape != betas.shape:
            raise ValueError(f'pred_betas {tuple(pred_betas.shape)} and betas '
                             f'{tuple(betas.shape)} must have the same shape')
        check_mesh_size(smpl_vertices, fine, 'smpl_vertices')
        check_mesh_size(gt_vertices, fine, 'gt_vertices')
        joints_3d = self.geometry.select_j14(joints_3d, 4, 'joints_3d')
        joints_2d = self.geometry.select_j14(joints_2d, 3, 'joints_2d')
        mask = label_mask(has_smpl, batch, 'has_smpl')
        with autocast_disabled(smpl_vertices):
            (pred_rotmat, pred_betas, smpl_vertices, pred_cam, pose, betas, gt_vertices, joints_3d,
             joints_2d) = cast_all(smpl_vertices, pred_rotmat, pred_betas, smpl_vertices, pred_cam,
                                   pose, betas, gt_vertices, joints_3d, joints_2d)
            rotmat = axis_angle_to_rotmat(pose.reshape(batch, count, 3))
            pelvis, joints = self.geometry.pelvis_and_joints(smpl_vertices)
            smpl_vertices, joints = smpl_vertices - pelvis[:, None], joints - pelvis[:, None]
            gt_vertices = gt_vertices - self.geometry.pelvis(gt_vertices)[:, None]
            terms = dict(
                smpl_rotmat=self._mean_square(pred_rotmat, rotmat, mask),
                smpl_betas=self._mean_square(pred_betas, betas, mask),
                smpl_j3d=self.joints_3d(joints, joints_3d, has_3d),
                smpl_j2d=self.joints_2d(
                    weak_perspective_project(joints, pred_cam.detach()), joints_2d),
                smpl_v=self.vertices(smpl_vertices, gt_vertices, has_smpl))
            terms['total'] = sum(weight * terms[name] for name, weight in self.weights.items())
        return terms

    @staticmethod
    def _mean_square(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Mean squared difference over the labelled samples."""
        difference = blank_unlabelled(pred, mask) - blank_unlabelled(target, mask)
        return masked_mean(difference.square(), mask)
