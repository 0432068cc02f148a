# SPDX-License-Identifier: Apache-2.0
"""Three epochs of six iterations on the toy data, in the style of the real configs."""

from mmengine.dataset import DefaultSampler
from mmengine.hooks import (
    DistSamplerSeedHook,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
    RuntimeInfoHook,
)
from mmengine.optim import MultiStepLR, OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from torch.optim import AdamW
from toy_parts import KillHook, ToyDataset, ToyMetric, ToyModel

from fastmetro_mm.engine import (
    EpochSeedHook,
    MeshCheckpointHook,
    MeshLogProcessor,
    PlainCheckpointHook,
    TrainingSummaryHook,
)

default_scope = None
data_root = 'data'
model = dict(type=ToyModel, width=4)
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dict(type=ToyDataset, data_root=data_root, ann_file='toy.yaml'),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(type=ToyDataset, data_root=data_root, ann_file='toy.yaml'),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=ToyMetric)
test_evaluator = val_evaluator
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=3, val_interval=1)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
optim_wrapper = dict(
    type=OptimWrapper, optimizer=dict(type=AdamW, lr=0.05), clip_grad=dict(max_norm=0.3)
)
param_scheduler = [dict(type=MultiStepLR, milestones=[1, 2], gamma=0.1, by_epoch=True)]
auto_scale_lr = dict(enable=False, base_batch_size=2)
default_hooks = dict(
    runtime_info=dict(type=RuntimeInfoHook),
    timer=dict(type=IterTimerHook),
    sampler_seed=dict(type=DistSamplerSeedHook),
    logger=dict(type=LoggerHook, interval=2),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(type=MeshCheckpointHook, interval=1),
)
custom_hooks = [
    dict(type=KillHook),
    dict(type=EpochSeedHook),
    dict(type=TrainingSummaryHook),
    dict(type=PlainCheckpointHook),
]
log_processor = dict(type=MeshLogProcessor)
env_cfg = dict(dist_cfg=dict(backend='nccl', timeout=60))
