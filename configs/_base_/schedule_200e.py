# SPDX-License-Identifier: Apache-2.0
"""Official schedule for hands: 200 epochs; the rate would drop at epoch 200, so it never does."""

from mmengine.config import read_base

with read_base():
    from .schedule_60e import *

train_cfg.update(max_epochs=200)
param_scheduler = [dict(type=StepLR, step_size=200, gamma=0.1, by_epoch=True)]
