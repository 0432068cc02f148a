# SPDX-License-Identifier: Apache-2.0
"""Training engine: runner, hooks, mixed precision, checkpoints, command line."""

from fastmetro_mm.engine.checkpoints.atomic_backend import AtomicLocalBackend
from fastmetro_mm.engine.checkpoints.loading import find_resume_checkpoint, read_checkpoint
from fastmetro_mm.engine.checkpoints.state_dict_check import check_state_dict
from fastmetro_mm.engine.distributed import MeshDistributedDataParallel
from fastmetro_mm.engine.hooks.checkpoint_hook import MeshCheckpointHook
from fastmetro_mm.engine.hooks.epoch_seed_hook import EpochSeedHook
from fastmetro_mm.engine.hooks.graceful_stop_hook import GracefulStopHook
from fastmetro_mm.engine.hooks.mesh_visualization_hook import MeshVisualizationHook
from fastmetro_mm.engine.hooks.non_finite_hook import NonFiniteHook
from fastmetro_mm.engine.hooks.plain_checkpoint_hook import PlainCheckpointHook
from fastmetro_mm.engine.hooks.summary_hook import TrainingSummaryHook
from fastmetro_mm.engine.log_processor import MeshLogProcessor
from fastmetro_mm.engine.optim_wrapper import MixedPrecisionOptimWrapper
from fastmetro_mm.engine.runner import MeshRunner
from fastmetro_mm.engine.train_loop import MeshTrainLoop
from fastmetro_mm.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    UntrustedCheckpointError,
)

__all__ = [
    'AtomicLocalBackend', 'CheckpointError', 'CheckpointNotFoundError', 'EpochSeedHook',
    'GracefulStopHook', 'MeshCheckpointHook', 'MeshDistributedDataParallel', 'MeshLogProcessor',
    'MeshRunner', 'MeshTrainLoop', 'MeshVisualizationHook', 'MixedPrecisionOptimWrapper',
    'NonFiniteHook', 'PlainCheckpointHook', 'TrainingSummaryHook', 'UntrustedCheckpointError',
    'check_state_dict', 'find_resume_checkpoint', 'read_checkpoint',
]
