# SPDX-License-Identifier: Apache-2.0
"""FastMETRO-S, ResNet-50, fine-tuned on 3DPW. Released weights: PA-MPJPE 49.1 mm (published)."""

from mmengine.config import read_base
from mmpose.models.backbones import ResNet

with read_base():
    from ._base_.default_runtime import *
    from ._base_.fastmetro_l_h64 import *
    from ._base_.schedule_8e import *
    from ._base_.threedpw import *

# `type` must be this string, see _base_/fastmetro_l_h64.py
model.backbone = dict(
    type=ResNet, depth=50, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')
)
model.neck.update(num_layers=1)

# Start: the released Human3.6M weights, or a checkpoint of fastmetro_s_r50_h36m.
load_from = 'data/checkpoints/FastMETRO-S-R50_h36m_state_dict.bin'
