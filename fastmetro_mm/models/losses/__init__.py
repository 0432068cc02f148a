# SPDX-License-Identifier: Apache-2.0
"""Training criteria: single terms as modules, and the official sums of them."""

from fastmetro_mm.models.losses.edge_normal_loss import EdgeLengthLoss, EdgeSelfLoss, FaceNormalLoss
from fastmetro_mm.models.losses.fastmetro_loss import FastMETROLoss
from fastmetro_mm.models.losses.hand_loss import HandMeshLoss
from fastmetro_mm.models.losses.joint_loss import MeshJoint2DLoss, MeshJoint3DLoss
from fastmetro_mm.models.losses.laplacian_loss import LaplacianLoss, SmoothMeshLoss
from fastmetro_mm.models.losses.parametric_loss import ParametricBodyLoss
from fastmetro_mm.models.losses.smpl_loss import SMPLParamLoss
from fastmetro_mm.models.losses.vertex_loss import MeshVertexLoss

__all__ = [
    'EdgeLengthLoss',
    'EdgeSelfLoss',
    'FaceNormalLoss',
    'FastMETROLoss',
    'HandMeshLoss',
    'LaplacianLoss',
    'MeshJoint2DLoss',
    'MeshJoint3DLoss',
    'MeshVertexLoss',
    'ParametricBodyLoss',
    'SMPLParamLoss',
    'SmoothMeshLoss',
]
