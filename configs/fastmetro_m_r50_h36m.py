# SPDX-License-Identifier: Apache-2.0
"""FastMETRO-M, ResNet-50, Human3.6M. Paper: PA-MPJPE 38.6 mm; no released weights."""

from mmengine.config import read_base
from mmpose.models.backbones import ResNet

with read_base():
    from ._base_.default_runtime import *
    from ._base_.fastmetro_l_h64 import *
    from ._base_.h36m_mixed import *
    from ._base_.schedule_60e import *

# `type` must be this string, see _base_/fastmetro_l_h64.py
model.backbone = dict(
    type=ResNet, depth=50, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')
)
model.neck.update(num_layers=2)
