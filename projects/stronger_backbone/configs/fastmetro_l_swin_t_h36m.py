# SPDX-License-Identifier: Apache-2.0
"""FastMETRO-L with mmpose's Swin-T in place of HRNet-W64."""

from mmengine.config import read_base
from mmpose.models.backbones import SwinTransformer

with read_base():
    from ....configs.fastmetro_l_h64_h36m import *

model.backbone = dict(
    type=SwinTransformer,
    embed_dims=96,
    depths=(2, 2, 6, 2),
    num_heads=(3, 6, 12, 24),
    out_indices=(3,),
    drop_path_rate=0.2,
    convert_weights=True,
    # ImageNet weights of the authors: without this line the backbone starts at random
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
        'swin_tiny_patch4_window7_224.pth',
    ),
)
model.neck.update(in_channels=768)
