# SPDX-License-Identifier: Apache-2.0
"""FastMETRO-L, HRNet-W64, FreiHAND.

Released weights (published): aligned keypoints AUC 0.871, 0.65 cm; mesh AUC 0.858, 0.71 cm;
F@5 mm 0.687, F@15 mm 0.983."""

from mmengine.config import read_base

with read_base():
    from ._base_.default_runtime import *
    from ._base_.fastmetro_hand_l_h64 import *
    from ._base_.freihand import *
    from ._base_.schedule_200e import *

default_hooks.checkpoint.update(interval=20, save_best=None, max_keep_ckpts=-1)
train_cfg.update(val_interval=20)
