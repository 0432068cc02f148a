# SPDX-License-Identifier: Apache-2.0
"""Three tiny synthetic sets mixed into one, trained end to end in minutes.

It shows every step that a real mixed training needs, with nothing to download::

    for i in 1 2 3; do
      python tools/dataset/make_synthetic.py --out data/mini/set$i --train 96 --test 32 --seed $i
    done
    python tools/dataset/convert.py mixed --in data/mini/set[123]/train.yaml --ratios 2 1 1 \
        --out data/mini/mixed
    python tools/dataset/convert.py mixed --in data/mini/set[123]/test.yaml --split test \
        --out data/mini/mixed
    python tools/dataset/doctor.py data/mini/mixed/train.yaml --body-model open_body
    python tools/train.py configs/mini_mixed.py
"""

from mmengine.config import read_base

from fastmetro_mm.datasets import MixedMeshDataset

with read_base():
    from .quickstart import *

data_root = 'data/mini/mixed/'
max_epochs = 3

train_dataloader.update(
    batch_size=16, dataset=dict(type=MixedMeshDataset, data_root=data_root, ann_file='train.yaml')
)
val_dataloader.update(batch_size=32, dataset=dict(data_root=data_root, ann_file='test.yaml'))
test_dataloader = val_dataloader
train_cfg.update(max_epochs=max_epochs, val_interval=1)
param_scheduler[0].update(end=12)
param_scheduler[1].update(T_max=max_epochs)
default_hooks.logger.update(interval=4)
