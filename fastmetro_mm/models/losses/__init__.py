# SPDX-License-Identifier: Apache-2.0
"""Training criteria: single terms as modules, and the official sums of them."""

from .edge_normal_loss import EdgeLengthLoss, EdgeSelfLoss, FaceNormalLoss
from .fastmetro_loss import FastMETROLoss
from .hand_loss import HandMeshLoss
from .joint_loss import MeshJoint2DLoss, MeshJoint3DLoss
from .smpl_loss import SMPLParamLoss
from .vertex_loss import MeshVertexLoss

__all__ = [
    'EdgeLengthLoss', 'EdgeSelfLoss', 'FaceNormalLoss', 'FastMETROLoss', 'HandMeshLoss',
    'MeshJoint2DLoss', 'MeshJoint3DLoss', 'MeshVertexLoss', 'SMPLParamLoss'
]
