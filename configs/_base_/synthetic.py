# SPDX-License-Identifier: Apache-2.0
"""Synthetic images of the open body, made by tools/dataset/make_synthetic.py."""

from mmengine.config import read_base

from fastmetro_mm.evaluation import MeshVertexMetric

with read_base():
    from .h36m_mixed import *
    from .open_body import *

data_root = 'data/synthetic/'
train_dataloader.update(dataset=dict(data_root=data_root, ann_file='train.yaml'))
val_dataloader.update(dataset=dict(data_root=data_root, ann_file='test.yaml'))
test_dataloader = val_dataloader
val_evaluator = [dict(type=MeshJointMetric), dict(type=MeshVertexMetric)]
test_evaluator = val_evaluator
