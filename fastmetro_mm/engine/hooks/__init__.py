# SPDX-License-Identifier: Apache-2.0
"""Hooks of the training loop, registered in mmpose's ``HOOKS``."""

from fastmetro_mm.engine.hooks.checkpoint_hook import MeshCheckpointHook
from fastmetro_mm.engine.hooks.epoch_seed_hook import EpochSeedHook
from fastmetro_mm.engine.hooks.graceful_stop_hook import GracefulStopHook
from fastmetro_mm.engine.hooks.mesh_visualization_hook import MeshVisualizationHook
from fastmetro_mm.engine.hooks.non_finite_hook import NonFiniteHook
from fastmetro_mm.engine.hooks.plain_checkpoint_hook import PlainCheckpointHook
from fastmetro_mm.engine.hooks.summary_hook import TrainingSummaryHook
from fastmetro_mm.engine.hooks.tta_hook import MeshTTAHook

__all__ = [
    'EpochSeedHook', 'GracefulStopHook', 'MeshCheckpointHook', 'MeshTTAHook',
    'MeshVisualizationHook', 'NonFiniteHook', 'PlainCheckpointHook', 'TrainingSummaryHook',
]  # fmt: skip
