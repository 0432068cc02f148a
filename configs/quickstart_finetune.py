# SPDX-License-Identifier: Apache-2.0
"""The fine-tuning recipe at the size of the quickstart: other images, a fifth of the rate.

As with 3DPW after Human3.6M, a trained network sees a set of another kind at a constant 2e-5::

    python tools/dataset/make_synthetic.py --out data/quickstart_street --seed 1 \
        --size 160 160 --train 1000 --test 200
    python tools/train.py configs/quickstart_finetune.py
"""

from mmengine.config import read_base
from mmengine.optim import StepLR

with read_base():
    from .quickstart import *

data_root = 'data/quickstart_street/'
train_dataloader.update(dataset=dict(data_root=data_root))
val_dataloader.update(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

train_cfg.update(max_epochs=4, val_interval=1)
optim_wrapper.update(optimizer=dict(lr=2e-5))
param_scheduler = [dict(type=StepLR, step_size=100, gamma=0.1, by_epoch=True)]  # constant

load_from = 'work_dirs/quickstart/epoch_8.pth'
