# SPDX-License-Identifier: Apache-2.0
"""Training engine: runner, hooks, mixed precision, checkpoints, command line.

The names are imported when they are used: reading a checkpoint for inference needs no runner.
"""

from fastmetro_mm.lazy import lazy_exports

_CHECKPOINTS, _HOOKS = f'{__name__}.checkpoints', f'{__name__}.hooks'
_HOMES = {
    'AtomicLocalBackend': f'{_CHECKPOINTS}.atomic_backend',
    'CheckpointError': 'fastmetro_mm.errors',
    'CheckpointNotFoundError': 'fastmetro_mm.errors',
    'EpochSeedHook': f'{_HOOKS}.epoch_seed_hook',
    'GracefulStopHook': f'{_HOOKS}.graceful_stop_hook',
    'MeshCheckpointHook': f'{_HOOKS}.checkpoint_hook',
    'MeshDistributedDataParallel': f'{__name__}.distributed',
    'MeshLogProcessor': f'{__name__}.log_processor',
    'MeshRunner': f'{__name__}.runner',
    'MeshTrainLoop': f'{__name__}.train_loop',
    'MeshVisualizationHook': f'{_HOOKS}.mesh_visualization_hook',
    'MixedPrecisionOptimWrapper': f'{__name__}.optim_wrapper',
    'NonFiniteHook': f'{_HOOKS}.non_finite_hook',
    'PlainCheckpointHook': f'{_HOOKS}.plain_checkpoint_hook',
    'TrainingSummaryHook': f'{_HOOKS}.summary_hook',
    'UntrustedCheckpointError': 'fastmetro_mm.errors',
    'check_state_dict': f'{_CHECKPOINTS}.state_dict_check',
    'find_resume_checkpoint': f'{_CHECKPOINTS}.resume',
    'read_checkpoint': f'{_CHECKPOINTS}.loading',
}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]  # loaded when asked for
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
