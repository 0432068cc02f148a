# SPDX-License-Identifier: Apache-2.0
"""What tools/quickstart.sh trains: a small FastMETRO on the frozen backbone inside the package.

MoveNet has seen real people, so that minutes of drawn ones are enough for meshes that stand on the
person. ``quickstart.py`` is the same from random weights, without any pretrained part.
"""

from mmengine.config import read_base

from fastmetro_mm.models.backbones import MoveNet

with read_base():
    from .quickstart import *

crop_size = 192
max_epochs = 2

model.data_preprocessor.update(mean=[127.50195] * 3, std=[127.50195] * 3)  # MoveNet's own
model.backbone = dict(
    type=MoveNet,
    arch='thunder',
    # where joints are (heat maps, pyramid) beside what is seen (deep); 192 pixels: 6 x 6 tokens
    parts=('deep', 'heatmaps', 'fpn'),
    frozen_stages=18,
    weights='movenet_thunder',
)
model.neck.update(in_channels=2464)

train_pipeline[0].update(crop_size=crop_size)
train_pipeline[3].update(size=crop_size)
test_pipeline[2].update(size=crop_size)
# the loaders of quickstart.py hold copies of its pipelines
train_dataloader.update(dataset=dict(pipeline=train_pipeline))
val_dataloader.update(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper.update(optimizer=dict(lr=2e-3))
train_cfg.update(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler[1].update(T_max=max_epochs)
