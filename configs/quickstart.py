# SPDX-License-Identifier: Apache-2.0
"""A small FastMETRO on synthetic people, trained on two CPU cores in minutes.

The architecture is the real one, with a ResNet-18 on 96-pixel crops, narrow transformers and no
ImageNet weights. Its numbers say that everything works, nothing about photos.
"""

from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR, LinearLR
from mmpose.models.backbones import ResNet

from fastmetro_mm.models.losses import SmoothMeshLoss

with read_base():
    from ._base_.default_runtime import *
    from ._base_.fastmetro_l_h64 import *
    from ._base_.schedule_60e import *
    from ._base_.synthetic import *

data_root = 'data/quickstart/'  # made by tools/quickstart.sh
crop_size = 96
max_epochs = 8

model.body = body
model.backbone = dict(
    # three of the four stages: 96 pixels become 6 x 6 image tokens
    type=ResNet,
    depth=18,
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(2,),
)
model.neck.update(
    in_channels=256,
    embed_dims=(128, 64),
    feedforward_dims=(256, 128),
    num_layers=1,
    num_heads=2,
    dropout=0.0,  # eight epochs from nothing: too short to overfit
    feature_size=(6, 6),
    informed_start=True,
)
# against torn meshes and spikes after so few steps; not part of the official recipe
model.head.update(in_channels=64, informed_start=True, from_rest_pose=True)
model.head.criterion.update(type=SmoothMeshLoss, laplacian_weight=1000.0)

train_pipeline = [
    dict(type=LoadMeshImage, crop_size=crop_size),
    dict(type=BoxToCenterScale),
    # less than the official augmentation: there are minutes to learn, not days
    dict(type=MeshAugment, train=True, noise_factor=0.1, rot_zero_prob=0.8, scale_factor=0.1),
    dict(type=MeshCrop, size=crop_size, mode='fast'),
    dict(type=PackMeshInputs),
]
test_pipeline = [
    dict(type=LoadMeshImage),
    dict(type=BoxToCenterScale, padding=1.2),
    dict(type=MeshCrop, size=crop_size, mode='fast'),
    dict(type=PackMeshInputs),
]
# The network fills both cores, so the crops are cut in the same process.
train_dataloader.update(
    batch_size=16,
    num_workers=0,
    pin_memory=False,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader.update(
    batch_size=50,
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    dataset=dict(data_root=data_root, pipeline=test_pipeline),
)
test_dataloader = val_dataloader

train_cfg.update(max_epochs=max_epochs, val_interval=4)
optim_wrapper.update(
    optimizer=dict(lr=1e-3),
    # it starts right; at the full rate its 743,000 weights move before the tokens say where to
    paramwise_cfg=dict(custom_keys={'coarse2intermediate_upsample': dict(lr_mult=0.01)}),
)
# The learning rate of a short run from random weights rises, then falls to nearly nothing.
param_scheduler = [
    dict(type=LinearLR, start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(
        type=CosineAnnealingLR,
        T_max=max_epochs,
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
default_hooks.logger.update(interval=20)
default_hooks.visualization.update(interval=1, max_samples=2)
auto_scale_lr.update(base_batch_size=16)
