# SPDX-License-Identifier: Apache-2.0
"""The body criterion of FastMETRO."""

from __future__ import annotations

from typing import Any

from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.body.joint_sets import J14_HIPS
from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.models.losses.body_geometry import BodyGeometry, check_mesh_size, resolve_assets
from fastmetro_mm.models.losses.edge_normal_loss import EdgeLengthLoss, EdgeSelfLoss, FaceNormalLoss
from fastmetro_mm.models.losses.joint_loss import MeshJoint2DLoss, MeshJoint3DLoss, centre_on
from fastmetro_mm.models.losses.precision import autocast_disabled, cast_all
from fastmetro_mm.models.losses.vertex_loss import MeshVertexLoss


@MODELS.register_module()
class FastMETROLoss(nn.Module):
    """All loss terms of the official body training, and their weighted sum.

    Defaults are those of the official ``run_fastmetro_bodymesh.py``. The numbers in the paper's
    table were made without edge and normal terms (``edge_normal_weight=0``).

    Args:
        body: body name, ``dict(name=..., body_data_root=...)`` or ready ``BodyAssets``; default
            the official SMPL matrices in the folder of the environment variable
            ``FASTMETRO_BODY_DATA`` or in ``data/body_models``. No SMPL model file is needed.
        joints_3d_weight: weight of ``j3d_token + j3d_mesh``.
        vertices_weight: weight of the vertex terms together.
        coarse_weight: share of ``v_coarse`` in the vertex terms.
        mid_weight: share of ``v_mid``.
        fine_weight: share of ``v_fine``.
        edge_normal_weight: weight of edge and normal terms together.
        edge_gt_weight: share of ``edge_gt`` in them.
        edge_self_weight: share of ``edge_self``.
        normal_weight: share of ``normal``.
        joints_2d_weight: weight of ``j2d_token + j2d_mesh``.
    """

    def __init__(self,
                 body: Any = None,
                 joints_3d_weight: float = 1000.0,
                 vertices_weight: float = 100.0,
                 coarse_weight: float = 0.25,
                 mid_weight: float = 0.5,
                 fine_weight: float = 0.25,
                 edge_normal_weight: float = 100.0,
                 edge_gt_weight: float = 5.0,
                 edge_self_weight: float = 1e-4,
                 normal_weight: float = 0.1,
                 joints_2d_weight: float = 100.0) -> None:
        super().__init__()
        assets = resolve_assets(body, default='smpl')
        self.geometry = BodyGeometry(assets)
        self.joints_3d = MeshJoint3DLoss(root=J14_HIPS)
        self.joints_2d = MeshJoint2DLoss()
        self.vertices = MeshVertexLoss()
        self.edge_gt = EdgeLengthLoss(assets.loss_edges)
        self.edge_self = EdgeSelfLoss(assets.loss_edges)
        self.normal = FaceNormalLoss(assets.loss_faces)
        self.weights = dict(
            j3d_token=joints_3d_weight,
            j3d_mesh=joints_3d_weight,
            v_coarse=vertices_weight * coarse_weight,
            v_mid=vertices_weight * mid_weight,
            v_fine=vertices_weight * fine_weight,
            edge_gt=edge_normal_weight * edge_gt_weight,
            edge_self=edge_normal_weight * edge_self_weight,
            normal=edge_normal_weight * normal_weight,
            j2d_token=joints_2d_weight,
            j2d_mesh=joints_2d_weight)

    def forward(self,
                *,
                pred_cam: Tensor,
                pred_joints: Tensor,
                pred_coarse: Tensor,
                pred_mid: Tensor,
                pred_fine: Tensor,
                gt_vertices: Tensor,
                joints_3d: Tensor,
                joints_2d: Tensor,
                has_3d: Tensor,
                has_smpl: Tensor,
                has_2d: Tensor | None = None) -> dict[str, Tensor]:
        """Compute every term and the total.

        Args:
            pred_cam: (B, 3) weak-perspective camera (s, tx, ty).
            pred_joints: (B, 14, 3) joint tokens, metres.
            pred_coarse: (B, 431, 3) metres.
            pred_mid: (B, 1723, 3) metres.
            pred_fine: (B, 6890, 3) metres.
            gt_vertices: (B, 6890, 3) true mesh, metres, any centre; the lower levels are sampled
                from it. Rows without ``has_smpl`` are ignored whatever they hold.
            joints_3d: (B, 24, 4) J24 joints in metres, any centre, and confidence.
            joints_2d: (B, 24, 3) J24 points in crop units, and confidence.
            has_3d: (B,) flags.
            has_smpl: (B,) flags.
            has_2d: (B,) flags, accepted and not consulted (official; the confidence decides).

        Returns:
            The unweighted terms ``j3d_token j3d_mesh v_coarse v_mid v_fine edge_gt edge_self
            normal j2d_token j2d_mesh`` and ``total``, the weighted sum; float32 scalars. Terms
            without a labelled sample are 0.

        Raises:
            ValueError: if a shape does not fit the body or the batch.
        """
        fine, mid, coarse = self.geometry.num_vertices[:3]
        check_mesh_size(pred_fine, fine, 'pred_fine')
        check_mesh_size(pred_mid, mid, 'pred_mid')
        check_mesh_size(pred_coarse, coarse, 'pred_coarse')
        check_mesh_size(gt_vertices, fine, 'gt_vertices')
        joints_3d = self.geometry.select_j14(joints_3d, 4, 'joints_3d')
        joints_2d = self.geometry.select_j14(joints_2d, 3, 'joints_2d')
        with autocast_disabled(pred_fine):
            (pred_cam, pred_joints, pred_coarse, pred_mid, pred_fine, gt_vertices, joints_3d,
             joints_2d) = cast_all(pred_fine, pred_cam, pred_joints, pred_coarse, pred_mid,
                                   pred_fine, gt_vertices, joints_3d, joints_2d)
            gt_fine, gt_mid, gt_coarse = self.geometry.levels(gt_vertices)
            pelvis, mesh_joints = self.geometry.pelvis_and_joints(pred_fine)
            pelvis = pelvis[:, None]
            pred_fine, pred_mid = pred_fine - pelvis, pred_mid - pelvis
            pred_coarse, mesh_joints = pred_coarse - pelvis, mesh_joints - pelvis
            # projected as they are centred here: tokens on the hips, mesh joints on the pelvis
            token_joints = centre_on(pred_joints, J14_HIPS)
            terms = dict(
                j3d_token=self.joints_3d(token_joints, joints_3d, has_3d),
                j3d_mesh=self.joints_3d(mesh_joints, joints_3d, has_3d),
                v_coarse=self.vertices(pred_coarse, gt_coarse, has_smpl),
                v_mid=self.vertices(pred_mid, gt_mid, has_smpl),
                v_fine=self.vertices(pred_fine, gt_fine, has_smpl),
                edge_gt=self.edge_gt(pred_mid, gt_mid, has_smpl),
                edge_self=self.edge_self(pred_mid, has_smpl),
                normal=self.normal(pred_mid, gt_mid, has_smpl),
                j2d_token=self.joints_2d(
                    weak_perspective_project(token_joints, pred_cam), joints_2d),
                j2d_mesh=self.joints_2d(
                    weak_perspective_project(mesh_joints, pred_cam), joints_2d))
            terms['total'] = sum(weight * terms[name] for name, weight in self.weights.items())
        return terms
