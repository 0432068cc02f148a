# SPDX-License-Identifier: Apache-2.0
"""FastMETRO-L with torchvision's ViT-B/16: a map of 14 x 14, four times the image tokens."""

from mmengine.config import read_base

from projects.stronger_backbone.backbones import TorchvisionBackbone

with read_base():
    from ....configs.fastmetro_l_h64_h36m import *

model.backbone = dict(type=TorchvisionBackbone, arch='vit_b_16', weights='IMAGENET1K_V1')
model.neck.update(in_channels=768, feature_size=(14, 14))
