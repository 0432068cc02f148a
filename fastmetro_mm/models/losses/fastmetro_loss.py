# SPDX-License-Identifier: Apache-2.0
"""The body criterion of FastMETRO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mmpose.registry import MODELS
from torch import Tensor

from fastmetro_mm.geometry.precision import full
from fastmetro_mm.models.losses.criterion import PROJECTED_TERMS, MeshCriterion
from fastmetro_mm.models.losses.edge_normal_loss import EdgeLengthLoss, EdgeSelfLoss, FaceNormalLoss
from fastmetro_mm.structures import MeshPrediction, MeshTargets


@dataclass
class BodyCase:
    """A batch as the terms see it: meshes centred on the pelvis of their fine level, metres.

    Attributes:
        pred_cam: Weak perspective. (B, 3)
        tokens: Joints of the tokens, centred on the hips. (B, 14, 3)
        joints: Joints of the predicted mesh. (B, 14, 3)
        pred: Predicted meshes, fine to coarse.
        true: True meshes, fine to coarse.
        joints_3d: Labels. (B, 14, 4)
        joints_2d: Labels. (B, 14, 3)
        has_3d: Flags. (B,)
        has_smpl: Flags. (B,)
    """

    pred_cam: Tensor
    tokens: Tensor
    joints: Tensor
    pred: tuple[Tensor, ...]
    true: tuple[Tensor, ...]
    joints_3d: Tensor
    joints_2d: Tensor
    has_3d: Tensor
    has_smpl: Tensor


@MODELS.register_module()
class FastMETROLoss(MeshCriterion):
    """All loss terms of the official body training, and their weighted sum.

    Defaults are those of the official ``run_fastmetro_bodymesh.py``. The numbers in the paper's
    table were made without edge and normal terms (``edge_normal_weight=0``).

    Args:
        body: :class:`MeshBody`, ``dict(name=..., body_data_root=...)``, or a name; default
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

    DEFAULT_BODY = 'smpl'
    JOINT_SET = 'j14'
    MISFIT = 'is a hand; use HandMeshLoss for hands'
    TERMS: ClassVar = dict(
        j3d_token=lambda self, c: self.joints_3d(c.tokens, c.joints_3d, c.has_3d),
        j3d_mesh=lambda self, c: self.joints_3d(c.joints, c.joints_3d, c.has_3d),
        v_coarse=lambda self, c: self.vertices(c.pred[2], c.true[2], c.has_smpl),
        v_mid=lambda self, c: self.vertices(c.pred[1], c.true[1], c.has_smpl),
        v_fine=lambda self, c: self.vertices(c.pred[0], c.true[0], c.has_smpl),
        edge_gt=lambda self, c: self.edge_gt(c.pred[1], c.true[1], c.has_smpl),
        edge_self=lambda self, c: self.edge_self(c.pred[1], c.has_smpl),
        normal=lambda self, c: self.normal(c.pred[1], c.true[1], c.has_smpl),
        **PROJECTED_TERMS,
    )

    def __init__(
        self,
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
        joints_2d_weight: float = 100.0,
    ) -> None:
        super().__init__(
            body,
            dict(
                j3d_token=joints_3d_weight,
                j3d_mesh=joints_3d_weight,
                v_coarse=vertices_weight * coarse_weight,
                v_mid=vertices_weight * mid_weight,
                v_fine=vertices_weight * fine_weight,
                edge_gt=edge_normal_weight * edge_gt_weight,
                edge_self=edge_normal_weight * edge_self_weight,
                normal=edge_normal_weight * normal_weight,
                j2d_token=joints_2d_weight,
                j2d_mesh=joints_2d_weight,
            ),
        )
        assets = self.body.assets
        self.edge_gt = EdgeLengthLoss(assets.loss_edges)
        self.edge_self = EdgeSelfLoss(assets.loss_edges)
        self.normal = FaceNormalLoss(assets.loss_faces)

    def named(
        self,
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
        has_2d: Any = None,
    ) -> tuple[MeshPrediction, MeshTargets]:
        """Prediction and targets from tensors by name.

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
        """
        return (
            MeshPrediction(pred_cam, pred_joints, pred_coarse, pred_fine, pred_mid),
            MeshTargets(
                vertices=gt_vertices,
                joints_3d=joints_3d,
                joints_2d=joints_2d,
                has_3d=has_3d,
                has_smpl=has_smpl,
                has_2d=has_2d,
            ),
        )

    def prepare(self, prediction: MeshPrediction, targets: MeshTargets) -> BodyCase:
        """Centre all levels on the pelvis of the *fine* mesh (official training code)."""
        self.check_levels(
            pred_fine=(prediction.vertices, 0),
            pred_mid=(prediction.vertices_mid, 1),
            pred_coarse=(prediction.vertices_coarse, 2),
            gt_vertices=(targets.vertices, 0),
        )
        pred = [
            full(prediction.vertices),
            full(prediction.vertices_mid),
            full(prediction.vertices_coarse),
        ]
        true = [full(targets.vertices)]
        for level in (0, 1):
            true.append(self.body.sampling.down(true[-1], level, level + 1))
        pelvis, joints = self.body.root_and_joints(pred[0])
        true_pelvis, _ = self.body.root_and_joints(true[0])
        return BodyCase(
            pred_cam=full(prediction.pred_cam),
            tokens=self.body.centre_tokens(full(prediction.joints)),
            joints=joints - pelvis,
            pred=tuple(mesh - pelvis for mesh in pred),
            true=tuple(mesh - true_pelvis for mesh in true),
            joints_3d=self.select_labels(targets.joints_3d, 4, 'joints_3d'),
            joints_2d=self.select_labels(targets.joints_2d, 3, 'joints_2d'),
            has_3d=targets.has_3d,
            has_smpl=targets.has_smpl,
        )
