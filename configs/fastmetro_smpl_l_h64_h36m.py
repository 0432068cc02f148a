# SPDX-License-Identifier: Apache-2.0
"""SMPL parameter head on FastMETRO-L, HRNet-W64, Human3.6M: trains the head on the frozen network.

Released weights: PA-MPJPE 36.1 mm of the SMPL mesh (published)."""

from mmengine.config import read_base

from fastmetro_mm.models.heads import SMPLRegressorHead
from fastmetro_mm.models.losses import SMPLParamLoss

with read_base():
    from ._base_.default_runtime import *
    from ._base_.fastmetro_l_h64 import *
    from ._base_.h36m_mixed import *
    from ._base_.schedule_60e import *

model.update(
    smpl_head=dict(type=SMPLRegressorHead, criterion=dict(type=SMPLParamLoss)),
    # The official code multiplies the remaining loss by 1e-8 instead, so that weight decay and
    # BatchNorm still move the network; freeze_mesh=False, mesh_loss_weight=1e-8 does the same.
    freeze_mesh=True,
)
val_evaluator = [
    dict(type=MeshJointMetric),
    dict(type=MeshJointMetric, field='smpl_joints_3d', prefix='SMPL'),
]
test_evaluator = val_evaluator

# The mesh metrics do not change while the network is frozen.
default_hooks.checkpoint.update(save_best=['SMPL/PA-MPJPE', 'SMPL/MPJPE'])

# Start: the released Human3.6M weights, or a checkpoint of fastmetro_l_h64_h36m.
load_from = 'data/checkpoints/FastMETRO-L-H64_h36m_state_dict.bin'
