# SPDX-License-Identifier: Apache-2.0
"""The hand criterion of FastMETRO."""

from __future__ import annotations

from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.body.joint_sets import HAND21, HAND21_WRIST
from fastmetro_mm.body.mesh_sampling import MeshSampling
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.models.losses.body_geometry import check_mesh_size, resolve_assets
from fastmetro_mm.models.losses.edge_normal_loss import (
    EdgeLengthLoss,
    FaceNormalLoss,
    index_table,
    sides_of,
)
from fastmetro_mm.models.losses.joint_loss import MeshJoint2DLoss, MeshJoint3DLoss, centre_on
from fastmetro_mm.models.losses.precision import autocast_disabled, cast_all
from fastmetro_mm.models.losses.vertex_loss import MeshVertexLoss

WRIST = (HAND21_WRIST,)
NUM_JOINTS = len(HAND21)


def check_joints(joints: Tensor, name: str) -> None:
    """Raise one clear error unless joints are (B, 21, 3)."""
    if joints.dim() != 3 or tuple(joints.shape[1:]) != (NUM_JOINTS, 3):
        raise ConfigError(f'{name}: expected shape (B, {NUM_JOINTS}, 3), '
                         f'got {tuple(joints.shape)}')


@MODELS.register_module()
class HandMeshLoss(nn.Module):
    """All loss terms of the official hand training, and their weighted sum.

    Defaults are those of the official ``run_fastmetro_handmesh.py``: edge and normal terms act on
    the *fine* level, there is no self edge term, and ``has_smpl`` gates every 3D term.

    Args:
        body: hand name, ``dict(name=..., body_data_root=...)`` or ready ``BodyAssets``; default
            the official MANO matrices, found as for the body. No MANO model file is needed.
        joints_3d_weight: weight of ``j3d_token + j3d_mesh``.
        vertices_weight: weight of the vertex terms together.
        coarse_weight: share of ``v_coarse`` in the vertex terms.
        fine_weight: share of ``v_fine``.
        edge_normal_weight: weight of edge and normal terms together.
        edge_gt_weight: share of ``edge_gt`` in them.
        normal_weight: share of ``normal``.
        joints_2d_weight: weight of ``j2d_token + j2d_mesh``.
    """

    def __init__(self,
                 body: Any = None,
                 joints_3d_weight: float = 1000.0,
                 vertices_weight: float = 100.0,
                 coarse_weight: float = 0.5,
                 fine_weight: float = 0.5,
                 edge_normal_weight: float = 100.0,
                 edge_gt_weight: float = 1.0,
                 normal_weight: float = 0.1,
                 joints_2d_weight: float = 100.0) -> None:
        super().__init__()
        assets = resolve_assets(body, default='mano')
        if not assets.is_hand:
            raise ConfigError(f"body '{assets.name}' is not a hand; use FastMETROLoss for bodies")
        self.num_vertices = tuple(assets.num_vertices)
        self.sampling = MeshSampling(assets, method='gather')
        faces = index_table(assets.loss_faces, 3, 'loss_faces')
        self.joints_3d = MeshJoint3DLoss(root=WRIST)
        self.joints_2d = MeshJoint2DLoss()
        self.vertices = MeshVertexLoss()
        self.edge_gt = EdgeLengthLoss(sides_of(faces))
        self.normal = FaceNormalLoss(faces)
        self.weights = dict(
            j3d_token=joints_3d_weight,
            j3d_mesh=joints_3d_weight,
            v_coarse=vertices_weight * coarse_weight,
            v_fine=vertices_weight * fine_weight,
            edge_gt=edge_normal_weight * edge_gt_weight,
            normal=edge_normal_weight * normal_weight,
            j2d_token=joints_2d_weight,
            j2d_mesh=joints_2d_weight)

    def forward(self,
                *,
                pred_cam: Tensor,
                pred_joints: Tensor,
                pred_mesh_joints: Tensor,
                pred_coarse: Tensor,
                pred_fine: Tensor,
                gt_vertices: Tensor,
                gt_joints: Tensor,
                joints_2d: Tensor,
                has_smpl: Tensor) -> dict[str, Tensor]:
        """Compute every term and the total.

        Args:
            pred_cam: (B, 3) weak-perspective camera (s, tx, ty).
            pred_joints: (B, 21, 3) joint tokens, metres.
            pred_mesh_joints: (B, 21, 3) joints regressed from ``pred_fine`` as it is, metres.
            pred_coarse: (B, 195, 3) metres.
            pred_fine: (B, 778, 3) metres.
            gt_vertices: (B, 778, 3) true mesh, metres.
            gt_joints: (B, 21, 3) joints of the true mesh in its own coordinates, metres; mesh
                targets are centred on their wrist. All confidences count as 1.
            joints_2d: (B, 21, 3) points in crop units, and confidence.
            has_smpl: (B,) flags; they gate every 3D term.

        Returns:
            The unweighted terms ``j3d_token j3d_mesh v_coarse v_fine edge_gt normal j2d_token
            j2d_mesh`` and ``total``, the weighted sum; float32 scalars.

        Raises:
            ValueError: if a shape does not fit the hand or the batch.
        """
        fine, coarse = self.num_vertices[:2]
        check_mesh_size(pred_fine, fine, 'pred_fine')
        check_mesh_size(pred_coarse, coarse, 'pred_coarse')
        check_mesh_size(gt_vertices, fine, 'gt_vertices')
        check_joints(pred_mesh_joints, 'pred_mesh_joints')
        check_joints(gt_joints, 'gt_joints')
        with autocast_disabled(pred_fine):
            (pred_cam, pred_joints, mesh_joints, pred_coarse, pred_fine, gt_vertices, gt_joints,
             joints_2d) = cast_all(pred_fine, pred_cam, pred_joints, pred_mesh_joints, pred_coarse,
                                   pred_fine, gt_vertices, gt_joints, joints_2d)
            gt_coarse = self.sampling.down(gt_vertices, 0, 1)
            gt_wrist = gt_joints[:, :1]
            gt_fine, gt_coarse = gt_vertices - gt_wrist, gt_coarse - gt_wrist
            target = torch.cat([gt_joints - gt_wrist, torch.ones_like(gt_joints[..., :1])], dim=-1)
            wrist = mesh_joints[:, :1]
            pred_fine, pred_coarse = pred_fine - wrist, pred_coarse - wrist
            mesh_joints = mesh_joints - wrist
            token_joints = centre_on(pred_joints, WRIST)
            terms = dict(
                j3d_token=self.joints_3d(token_joints, target, has_smpl),
                j3d_mesh=self.joints_3d(mesh_joints, target, has_smpl),
                v_coarse=self.vertices(pred_coarse, gt_coarse, has_smpl),
                v_fine=self.vertices(pred_fine, gt_fine, has_smpl),
                edge_gt=self.edge_gt(pred_fine, gt_fine, has_smpl),
                normal=self.normal(pred_fine, gt_fine, has_smpl),
                j2d_token=self.joints_2d(
                    weak_perspective_project(token_joints, pred_cam), joints_2d),
                j2d_mesh=self.joints_2d(
                    weak_perspective_project(mesh_joints, pred_cam), joints_2d))
            terms['total'] = sum(weight * terms[name] for name, weight in self.weights.items())
        return terms
