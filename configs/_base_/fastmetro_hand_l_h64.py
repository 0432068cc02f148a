# SPDX-License-Identifier: Apache-2.0
"""FastMETRO-L with HRNet-W64 for right hands: 21 joint tokens, 195 vertex tokens, two meshes."""

from mmengine.config import read_base

from fastmetro_mm.models.losses import HandMeshLoss

with read_base():
    from .fastmetro_l_h64 import *
    from .mano_hand import *

model.body = body
model.neck.update(num_joints=21)
model.head.criterion = dict(
    type=HandMeshLoss,
    joints_3d_weight=1000.0,
    vertices_weight=100.0,
    coarse_weight=0.5,
    fine_weight=0.5,
    edge_normal_weight=100.0,
    edge_gt_weight=1.0,
    normal_weight=0.1,
    joints_2d_weight=100.0,
)
