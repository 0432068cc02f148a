# SPDX-License-Identifier: Apache-2.0
"""The model that ships with the package: any photo in, free bodies out, nothing to download.

MoveNet's frozen features and key points, joint tokens, and the open body posed by them.
``projects/free_model`` holds the recipe of its weights; this config loads, tests and fine-tunes it.
"""

from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR, LinearLR

from fastmetro_mm.models.backbones import MoveNet
from fastmetro_mm.models.heads import ParametricMeshHead
from fastmetro_mm.models.losses import ParametricBodyLoss
from fastmetro_mm.models.necks import KeypointNeck

with read_base():
    from ._base_.default_runtime import *
    from ._base_.fastmetro_l_h64 import *
    from ._base_.schedule_60e import *
    from ._base_.synthetic import *

crop_size = 256
max_epochs = 10

model.body = body
model.data_preprocessor.update(mean=[127.50195] * 3, std=[127.50195] * 3)  # MoveNet's own
model.backbone = dict(
    type=MoveNet,
    arch='thunder',
    parts=('deep',),
    frozen_stages=18,
    with_keypoints=True,
    weights='movenet_thunder',
)
model.neck = dict(
    type=KeypointNeck,
    in_channels=1280,
    num_keypoints=17,
    num_joints=24,
    hidden_dims=704,
    num_blocks=2,
    embed_dims=128,
    feedforward_dims=512,
    num_layers=2,
    num_heads=4,
    dropout=0.0,
    feature_size=(8, 8),
)
model.head = dict(
    type=ParametricMeshHead,
    in_channels=128,
    criterion=dict(type=ParametricBodyLoss),
    fit_steps=2,
    # fitted on 300 drawn people by projects/free_model/lifting/confidence.py; J14's order
    confidence=dict(slope=0.62, bias=(-0.91, 0.27, 2.64, 2.59, 0.03, -0.90,
                                      -0.54, -0.15, 0.36, 0.14, -0.09, -0.79, 0.43, -0.47)),
)  # fmt: skip

# the mirror image is looked at too, and both answers are averaged: docs/model_cards/open_body.md
model.test_cfg = dict(flip_test=True)

train_pipeline = [
    dict(type=LoadMeshImage),
    dict(type=BoxToCenterScale),
    dict(type=MeshAugment, train=True, noise_factor=0.2, rot_zero_prob=0.7, scale_factor=0.1),
    dict(type=MeshCrop, size=crop_size, mode='fast'),
    dict(type=PackMeshInputs),
]
test_pipeline = [
    dict(type=LoadMeshImage),
    dict(type=BoxToCenterScale, padding=1.2),
    dict(type=MeshCrop, size=crop_size, mode='smooth'),
    dict(type=PackMeshInputs),
]
train_dataloader.update(
    batch_size=32, num_workers=1, dataset=dict(data_root=data_root, pipeline=train_pipeline)
)
val_dataloader.update(
    batch_size=32, num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline)
)
test_dataloader = val_dataloader

train_cfg.update(max_epochs=max_epochs, val_interval=1)
optim_wrapper.update(optimizer=dict(lr=1e-4))
param_scheduler = [
    dict(type=LinearLR, start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(
        type=CosineAnnealingLR,
        T_max=max_epochs,
        eta_min=1e-6,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr.update(base_batch_size=32)
