# SPDX-License-Identifier: Apache-2.0
"""The hand model that ships with the package: MediaPipe's landmarks, lifted to the open hand.

Right hands; left ones go through as their mirror images. ``projects/free_model`` holds the recipe
of its weights.
"""

from mmengine.config import read_base

from fastmetro_mm.datasets import HandMeshTSVDataset
from fastmetro_mm.evaluation import FreiHANDMetric
from fastmetro_mm.models.backbones import HandLandmark

with read_base():
    from .open_body import *

body = dict(name='open_hand', body_data_root=body_data_root)
crop_size = 224
data_root = 'data/synthetic_hand/'  # tools/dataset/make_synthetic.py --kind hand

model.body = body
model.data_preprocessor.update(mean=[0.0] * 3, std=[255.0] * 3)
model.backbone = dict(
    type=HandLandmark, parts=(), with_keypoints=True, frozen_stages=16, weights='hand_landmark'
)
model.neck.update(in_channels=None, num_keypoints=21, num_joints=16, hidden_dims=384, embed_dims=64)
model.test_cfg = None  # a mirrored hand is the other hand
# no criterion: the recipe trains on key points alone, outside of the Runner
model.head.update(in_channels=64, criterion=None, fit_steps=0, confidence=None)

train_pipeline[2].update(flip_prob=0.0)  # a mirrored right hand is a left one
train_pipeline[3].update(size=crop_size)
test_pipeline[2].update(size=crop_size)
train_dataloader.update(
    dataset=dict(type=HandMeshTSVDataset, data_root=data_root, pipeline=train_pipeline)
)
val_dataloader.update(
    dataset=dict(type=HandMeshTSVDataset, data_root=data_root, pipeline=test_pipeline)
)
test_dataloader = val_dataloader
val_evaluator = [dict(type=FreiHANDMetric, pred_file='work_dirs/open_hand/pred.json')]
test_evaluator = val_evaluator
default_hooks.checkpoint.update(save_best='PA-MPJPE')
