# SPDX-License-Identifier: Apache-2.0
"""Official mixed set (H36M, COCO, MuCo, UP-3D, MPII) to train; Human3.6M protocol 2 to evaluate.

``train.yaml`` is the composite set of the official downloads: its linelist fixes the proportions.
"""

from mmengine.dataset import DefaultSampler

from fastmetro_mm.datasets import MeshTSVDataset
from fastmetro_mm.datasets.transforms import (
    BoxToCenterScale,
    LoadMeshImage,
    MeshAugment,
    MeshCrop,
    PackMeshInputs,
)
from fastmetro_mm.evaluation import MeshJointMetric

data_root = 'data/metro/'

train_pipeline = [
    dict(type=LoadMeshImage),
    dict(type=BoxToCenterScale),
    dict(type=MeshAugment, train=True),
    dict(type=MeshCrop, size=224, mode='official'),
    dict(type=PackMeshInputs),
]
test_pipeline = [
    dict(type=LoadMeshImage),
    dict(type=BoxToCenterScale, padding=1.2),
    dict(type=MeshCrop, size=224, mode='official'),
    dict(type=PackMeshInputs),
]

train_dataloader = dict(
    batch_size=16,  # x 4 GPUs, as the official code
    num_workers=4,
    persistent_workers=False,  # a resumed run then draws the same augmentations
    pin_memory=True,
    drop_last=True,  # a last batch of one image would break BatchNorm
    sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dict(
        type=MeshTSVDataset,
        data_root=data_root,
        ann_file='Tax-H36m-coco40k-Muco-UP-Mpii/train.yaml',
        pipeline=train_pipeline,
        on_error='skip',
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        type=MeshTSVDataset,
        data_root=data_root,
        ann_file='human3.6m/valid.protocol2.yaml',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

# Protocol 2: S9 and S11, frontal camera, every 5th frame. The set has no SMPL labels, so there is
# no MPVPE.
val_evaluator = [dict(type=MeshJointMetric)]
test_evaluator = val_evaluator
