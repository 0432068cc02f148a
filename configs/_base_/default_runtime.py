# SPDX-License-Identifier: Apache-2.0
"""Hooks, logging and environment of every run."""

from mmengine.hooks import (
    DistSamplerSeedHook,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
    SyncBuffersHook,
)
from mmengine.visualization import LocalVisBackend

from fastmetro_mm.engine import (
    EpochSeedHook,
    GracefulStopHook,
    MeshCheckpointHook,
    MeshLogProcessor,
    MeshVisualizationHook,
    NonFiniteHook,
    PlainCheckpointHook,
    TrainingSummaryHook,
)
from fastmetro_mm.visualization.mesh_visualizer import MeshVisualizer

# Classes are named by import, so no registry scope has to be searched.
default_scope = None
# What mmpose's MMPoseInferencer reads to tell the kind of a config.
data_mode = 'topdown'
dataset_type = 'MeshTSVDataset'

default_hooks = dict(
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=50),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(
        type=MeshCheckpointHook, interval=1, max_keep_ckpts=3, save_best=['PA-MPJPE', 'MPJPE']
    ),
    sampler_seed=dict(type=DistSamplerSeedHook),
    visualization=dict(type=MeshVisualizationHook, enable=False),
    non_finite=dict(type=NonFiniteHook, policy='stop'),
    graceful_stop=dict(type=GracefulStopHook),
)
custom_hooks = [
    dict(type=PlainCheckpointHook),
    dict(type=EpochSeedHook),
    dict(type=SyncBuffersHook),  # one set of BatchNorm statistics for all ranks, once an epoch
    dict(type=TrainingSummaryHook),
]

env_cfg = dict(
    cudnn_benchmark=True,
    cuda_graphs=False,  # True: on one GPU, backbone and neck are replayed instead of launched
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),  # tools/train.py takes gloo where there is no GPU
)
vis_backends = [dict(type=LocalVisBackend)]
# mmpose's scripts need a name; the runner gives later runs of a process visualizers of their own
visualizer = dict(type=MeshVisualizer, vis_backends=vis_backends, name='visualizer')
log_processor = dict(type=MeshLogProcessor, window_size=50, by_epoch=True)
log_level = 'INFO'
randomness = dict(seed=88)  # as the official code
load_from = None
resume = False
