# SPDX-License-Identifier: Apache-2.0
"""The hand criterion of FastMETRO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from mmpose.registry import MODELS
from torch import Tensor

from fastmetro_mm.geometry.precision import full
from fastmetro_mm.models.losses.criterion import PROJECTED_TERMS, MeshCriterion, check_shape
from fastmetro_mm.models.losses.edge_normal_loss import (
    EdgeLengthLoss,
    FaceNormalLoss,
    index_table,
    sides_of,
)
from fastmetro_mm.structures import MeshPrediction, MeshTargets


@dataclass
class HandCase:
    """A batch as the terms see it: meshes and joints centred on their wrist, metres.

    Attributes:
        pred_cam: Weak perspective. (B, 3)
        tokens: Joints of the tokens. (B, 21, 3)
        joints: Joints of the predicted mesh. (B, 21, 3)
        pred: Predicted meshes, fine and coarse.
        true: True meshes, fine and coarse.
        true_joints: Joints of the true mesh; all confidences are 1. (B, 21, 4)
        joints_2d: Labels. (B, 21, 3)
        has_smpl: Flags. (B,)
    """

    pred_cam: Tensor
    tokens: Tensor
    joints: Tensor
    pred: tuple[Tensor, Tensor]
    true: tuple[Tensor, Tensor]
    true_joints: Tensor
    joints_2d: Tensor
    has_smpl: Tensor


@MODELS.register_module()
class HandMeshLoss(MeshCriterion):
    """All loss terms of the official hand training, and their weighted sum.

    Defaults are those of the official ``run_fastmetro_handmesh.py``: edge and normal terms act on
    the *fine* level, there is no self edge term, and ``has_smpl`` gates every 3D term.

    Args:
        body: :class:`HandBody`, ``dict(name=..., body_data_root=...)``, or a name; default
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

    DEFAULT_BODY = 'mano'
    JOINT_SET = 'hand21'
    MISFIT = 'is not a hand; use FastMETROLoss for bodies'
    TERMS: ClassVar = dict(
        j3d_token=lambda self, c: self.joints_3d(c.tokens, c.true_joints, c.has_smpl),
        j3d_mesh=lambda self, c: self.joints_3d(c.joints, c.true_joints, c.has_smpl),
        v_coarse=lambda self, c: self.vertices(c.pred[1], c.true[1], c.has_smpl),
        v_fine=lambda self, c: self.vertices(c.pred[0], c.true[0], c.has_smpl),
        edge_gt=lambda self, c: self.edge_gt(c.pred[0], c.true[0], c.has_smpl),
        normal=lambda self, c: self.normal(c.pred[0], c.true[0], c.has_smpl),
        **PROJECTED_TERMS,
    )

    def __init__(
        self,
        body: Any = None,
        joints_3d_weight: float = 1000.0,
        vertices_weight: float = 100.0,
        coarse_weight: float = 0.5,
        fine_weight: float = 0.5,
        edge_normal_weight: float = 100.0,
        edge_gt_weight: float = 1.0,
        normal_weight: float = 0.1,
        joints_2d_weight: float = 100.0,
    ) -> None:
        super().__init__(
            body,
            dict(
                j3d_token=joints_3d_weight,
                j3d_mesh=joints_3d_weight,
                v_coarse=vertices_weight * coarse_weight,
                v_fine=vertices_weight * fine_weight,
                edge_gt=edge_normal_weight * edge_gt_weight,
                normal=edge_normal_weight * normal_weight,
                j2d_token=joints_2d_weight,
                j2d_mesh=joints_2d_weight,
            ),
        )
        faces = index_table(self.body.assets.loss_faces, 3, 'loss_faces')
        self.edge_gt = EdgeLengthLoss(sides_of(faces))
        self.normal = FaceNormalLoss(faces)

    def named(
        self,
        *,
        pred_cam: Tensor,
        pred_joints: Tensor,
        pred_mesh_joints: Tensor,
        pred_coarse: Tensor,
        pred_fine: Tensor,
        gt_vertices: Tensor,
        gt_joints: Tensor,
        joints_2d: Tensor,
        has_smpl: Tensor,
    ) -> tuple[MeshPrediction, MeshTargets]:
        """Prediction and targets from tensors by name.

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
        """
        return (
            MeshPrediction(
                pred_cam, pred_joints, pred_coarse, pred_fine, mesh_joints=pred_mesh_joints
            ),
            MeshTargets(
                vertices=gt_vertices, joints=gt_joints, joints_2d=joints_2d, has_smpl=has_smpl
            ),
        )

    def prepare(self, prediction: MeshPrediction, targets: MeshTargets) -> HandCase:
        """Centre both levels on the wrist regressed from the fine one."""
        self.check_levels(
            pred_fine=(prediction.vertices, 0),
            gt_vertices=(targets.vertices, 0),
            pred_coarse=(prediction.vertices_coarse, 1),
        )
        fine, true = full(prediction.vertices), full(targets.vertices)
        joints = prediction.mesh_joints
        joints = self.body.joints(fine) if joints is None else full(joints)
        shape = (len(self.body.joint_names), 3)
        check_shape(joints, shape, 'pred_mesh_joints')
        check_shape(targets.joints, shape, 'gt_joints')
        wrist, _ = self.body.root_and_joints(fine, joints)
        true_wrist, true_joints = self.body.root_and_joints(true, full(targets.joints))
        true_joints = true_joints - true_wrist
        return HandCase(
            pred_cam=full(prediction.pred_cam),
            tokens=self.body.centre_tokens(full(prediction.joints)),
            joints=joints - wrist,
            pred=(fine - wrist, full(prediction.vertices_coarse) - wrist),
            true=(true - true_wrist, self.body.sampling.down(true, 0, 1) - true_wrist),
            true_joints=torch.cat([true_joints, torch.ones_like(true_joints[..., :1])], dim=-1),
            joints_2d=self.select_labels(targets.joints_2d, 3, 'joints_2d'),
            has_smpl=targets.has_smpl,
        )
