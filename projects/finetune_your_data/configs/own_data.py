# SPDX-License-Identifier: Apache-2.0
"""Fine-tune the shipped model on your own photos: MoveNet stays frozen, neck and head move."""

from mmengine.config import read_base

from projects.finetune_your_data.keypoint_loss import KeypointPriorLoss

with read_base():
    from ....configs.open_body import *

data_root = 'data/mine/'  # of `fastmetro convert images` or of projects.fit_to_keypoints
max_epochs = 9
load_from = 'fastmetro_mm/model_zoo/weights/open_body.safetensors'

model.head.update(criterion=dict(type=KeypointPriorLoss))

train_dataloader.update(batch_size=16, num_workers=0, dataset=dict(data_root=data_root))
test_dataloader.update(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
# own photos have no 3D labels to validate on: projects.finetune_your_data.compare tells before
# and after by the key points of photos that were held out
val_cfg = val_dataloader = val_evaluator = None

train_cfg.update(max_epochs=max_epochs)
optim_wrapper.update(optimizer=dict(lr=3e-4))
param_scheduler[0].update(end=10)
param_scheduler[1].update(T_max=max_epochs)
default_hooks.checkpoint.update(save_best=None)
default_hooks.logger.update(interval=5)
