# SPDX-License-Identifier: Apache-2.0
"""FreiHAND: 200 epochs on its training images, predictions for its 3,960 evaluation images.

Right hands in 224x224 images; the official labels take the central 180 pixels.
"""

from mmengine.config import read_base

from fastmetro_mm.datasets import HandMeshTSVDataset
from fastmetro_mm.evaluation import FreiHANDMetric

with read_base():
    from .h36m_mixed import *

dataset_type = 'HandMeshTSVDataset'
# no flip: a mirrored right hand is a left one; rotations up to 180 degrees
train_pipeline = [
    dict(type=LoadMeshImage),
    dict(type=BoxToCenterScale),
    dict(type=MeshAugment, train=True, flip_prob=0.0, rot_factor=90.0),
    dict(type=MeshCrop, size=224, mode='official'),
    dict(type=PackMeshInputs),
]
train_dataloader.update(
    dataset=dict(type=HandMeshTSVDataset, ann_file='freihand/train.yaml', pipeline=train_pipeline)
)
val_dataloader.update(dataset=dict(type=HandMeshTSVDataset, ann_file='freihand/test.yaml'))
test_dataloader = val_dataloader
# Predictions go to pred.json and a zip of it. With the released evaluation labels, set
# xyz_file=data_root + 'freihand/evaluation_xyz.json' and verts_file=... to get the scores.
val_evaluator = [dict(type=FreiHANDMetric, pred_file='work_dirs/freihand/pred.json', expected=3960)]
test_evaluator = val_evaluator
