# SPDX-License-Identifier: Apache-2.0
"""Official fine-tuning on 3DPW: 8 epochs at a fifth of the rate."""

from mmengine.config import read_base

with read_base():
    from .schedule_60e import *

train_cfg.update(max_epochs=8)
optim_wrapper.update(optimizer=dict(lr=2e-5))
