# SPDX-License-Identifier: Apache-2.0
"""SMPL parameter head on FastMETRO-L, HRNet-W64, 3DPW: trains network and head together.

Released weights: PA-MPJPE 51.0 mm of the SMPL mesh (published)."""

from mmengine.config import read_base

from fastmetro_mm.models.heads import SMPLRegressorHead
from fastmetro_mm.models.losses import SMPLParamLoss

with read_base():
    from ._base_.default_runtime import *
    from ._base_.fastmetro_l_h64 import *
    from ._base_.schedule_8e import *
    from ._base_.threedpw import *

model.update(smpl_head=dict(type=SMPLRegressorHead, criterion=dict(type=SMPLParamLoss)))
val_evaluator = [
    dict(type=MeshJointMetric),
    dict(type=MeshVertexMetric),
    dict(type=MeshJointMetric, field='smpl_joints_3d', prefix='SMPL'),
    dict(type=MeshVertexMetric, field='smpl_vertices', prefix='SMPL'),
]
test_evaluator = val_evaluator

default_hooks.checkpoint.update(save_best=['SMPL/PA-MPJPE', 'SMPL/MPJPE'])

# Start: the released weights of the Human3.6M stage, or a checkpoint of
# fastmetro_smpl_l_h64_h36m.
load_from = 'data/checkpoints/FastMETRO-L-H64_smpl_h36m_state_dict.bin'
