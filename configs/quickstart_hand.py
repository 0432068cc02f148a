# SPDX-License-Identifier: Apache-2.0
"""The hand recipe at the size of the quickstart, on synthetic right hands::

    python tools/dataset/make_synthetic.py --kind hand --out data/quickstart_hand \
        --scene studio --size 160 160 --train 3000 --test 300
    python tools/train.py configs/quickstart_hand.py

Every evaluation prints the official FreiHAND scores and writes ``pred.json`` with its zip.
"""

from mmengine.config import read_base

from fastmetro_mm.datasets import HandMeshTSVDataset
from fastmetro_mm.evaluation import FreiHANDMetric
from fastmetro_mm.models.losses import HandMeshLoss

with read_base():
    from .quickstart import *

body = dict(name='open_hand', body_data_root=body_data_root)
dataset_type = 'HandMeshTSVDataset'
data_root = 'data/quickstart_hand/'

model.body = body
model.neck.update(num_joints=21)
model.head.criterion = dict(type=HandMeshLoss)  # the official weights are its defaults

# no flip: a mirrored right hand is a left one
train_pipeline[2].update(flip_prob=0.0)
train_dataloader.update(
    dataset=dict(type=HandMeshTSVDataset, data_root=data_root, pipeline=train_pipeline)
)
val_dataloader.update(dataset=dict(type=HandMeshTSVDataset, data_root=data_root))
test_dataloader = val_dataloader
# Truth: the labels of the samples. With the released FreiHAND evaluation files, set
# xyz_file=... and verts_file=...
val_evaluator = [dict(type=FreiHANDMetric, pred_file='work_dirs/quickstart_hand/pred.json')]
test_evaluator = val_evaluator
default_hooks.checkpoint.update(save_best='PA-MPJPE')
