# SPDX-License-Identifier: Apache-2.0
"""The SMPL-head stage at the size of the quickstart: the head learns on the frozen network.

Start: a checkpoint of ``quickstart``. To train network and head together, as on 3DPW, go on with::

    python tools/train.py configs/quickstart_smpl.py --work-dir work_dirs/quickstart_smpl_joint \
        --cfg-options model.freeze_mesh=False optim_wrapper.optimizer.lr=2e-5 \
        load_from=work_dirs/quickstart_smpl/epoch_4.pth
"""

from mmengine.config import read_base

from fastmetro_mm.models.heads import SMPLRegressorHead
from fastmetro_mm.models.losses import SMPLParamLoss

with read_base():
    from .quickstart import *

max_epochs = 4

model.update(
    smpl_head=dict(type=SMPLRegressorHead, hidden_dim=256, criterion=dict(type=SMPLParamLoss)),
    freeze_mesh=True,
)
val_evaluator = [
    *val_evaluator,
    dict(type=MeshJointMetric, field='smpl_joints_3d', prefix='SMPL'),
    dict(type=MeshVertexMetric, field='smpl_vertices', prefix='SMPL'),
]
test_evaluator = val_evaluator
train_cfg.update(max_epochs=max_epochs, val_interval=2)
param_scheduler[1].update(T_max=max_epochs)
# The mesh metrics do not change while the network is frozen.
default_hooks.checkpoint.update(save_best=['SMPL/PA-MPJPE', 'SMPL/MPJPE'])

load_from = 'work_dirs/quickstart/epoch_8.pth'
