# SPDX-License-Identifier: Apache-2.0
"""Training engine: runner, hooks, mixed precision, checkpoints, command line."""

from fastmetro_mm.engine.checkpoints.atomic_backend import AtomicLocalBackend
from fastmetro_mm.engine.checkpoints.loading import find_resume_checkpoint, read_checkpoint
from fastmetro_mm.engine.checkpoints.state_dict_check import check_state_dict
from fastmetro_mm.engine.distributed import MeshDistributedDataParallel
from fastmetro_mm.engine.hooks.checkpoint_hook import MeshCheckpointHook
from fastmetro_mm.engine.hooks.epoch_seed_hook import EpochSeedHook
from fastmetro_mm.engine.hooks.mesh_visualization_hook import MeshVisualizationHook
from fastmetro_mm.engine.hooks.plain_checkpoint_hook import PlainCheckpointHook
from fastmetro_mm.engine.hooks.summary_hook import TrainingSummaryHook
from fastmetro_mm.engine.log_processor import MeshLogProcessor
from fastmetro_mm.engine.optim_wrapper import MixedPrecisionOptimWrapper
from fastmetro_mm.engine.runner import MeshRunner
from fastmetro_mm.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    UntrustedCheckpointError,
)

__all__ = [
    'AtomicLocalBackend', 'CheckpointError', 'CheckpointNotFoundError', 'EpochSeedHook',
    'MeshCheckpointHook', 'MeshDistributedDataParallel', 'MeshLogProcessor', 'MeshRunner',
    'MeshVisualizationHook', 'MixedPrecisionOptimWrapper', 'PlainCheckpointHook',
    'TrainingSummaryHook', 'UntrustedCheckpointError', 'check_state_dict',
    'find_resume_checkpoint', 'read_checkpoint',
]
