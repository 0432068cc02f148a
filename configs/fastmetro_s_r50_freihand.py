# SPDX-License-Identifier: Apache-2.0
"""FastMETRO-S, ResNet-50, FreiHAND. No released weights."""

from mmengine.config import read_base
from mmpose.models.backbones import ResNet

with read_base():
    from ._base_.default_runtime import *
    from ._base_.fastmetro_hand_l_h64 import *
    from ._base_.freihand import *
    from ._base_.schedule_200e import *

# `type` must be this string, see _base_/fastmetro_l_h64.py
model.backbone = dict(
    type=ResNet, depth=50, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')
)
model.neck.update(num_layers=1)
default_hooks.checkpoint.update(interval=20, save_best=None, max_keep_ckpts=-1)
train_cfg.update(val_interval=20)
