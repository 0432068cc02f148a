# SPDX-License-Identifier: Apache-2.0
"""Makes the package known to mmpose and mmengine without importing either.

mmengine's registries import the modules that hold their classes when they are first asked for a
name. So it is enough to tell the registries of mmpose, once they exist, where ours lie.
"""

import importlib
from types import ModuleType
from typing import Any

from fastmetro_mm.compat.after_import import after_import

# Registries of mmpose with classes of ours, and the module whose import registers these.
LOCATIONS = {
    'DATASETS': 'fastmetro_mm.datasets',
    'HOOKS': 'fastmetro_mm.engine.hooks',
    'LOOPS': 'fastmetro_mm.engine.train_loop',
    'LOG_PROCESSORS': 'fastmetro_mm.engine.log_processor',
    'METRICS': 'fastmetro_mm.evaluation',
    'MODELS': 'fastmetro_mm.models',
    'MODEL_WRAPPERS': 'fastmetro_mm.engine.distributed',
    'OPTIM_WRAPPERS': 'fastmetro_mm.engine.optim_wrapper',
    'RUNNERS': 'fastmetro_mm.engine.runner',
    'TRANSFORMS': 'fastmetro_mm.datasets',
    'VISUALIZERS': 'fastmetro_mm.visualization.mesh_visualizer',
}
# mmengine imports all of mmpose for a registry that names no location; ours must not change that
_ALL_OF_MMPOSE = 'fastmetro_mm.compat.all_of_mmpose'


def _add_locations(registries: ModuleType) -> None:
    """Tell mmpose's registries where our classes lie (``mmpose.registry`` was imported)."""
    for name, location in LOCATIONS.items():
        registry = getattr(registries, name)
        places = registry._locations or [_ALL_OF_MMPOSE]
        if location not in places:
            registry._locations = [*places, location]
            registry._imported = False  # one that was asked before looks again


def _load_file(filename: str, map_location: Any = None) -> dict:
    loading = importlib.import_module('fastmetro_mm.engine.checkpoints.loading')
    return loading.load_from_local_file(filename, map_location)


def _load_address(filename: str, map_location: Any = None) -> dict:
    loading = importlib.import_module('fastmetro_mm.engine.checkpoints.loading')
    return loading.load_from_web_address(filename, map_location)


def _load_torchvision(filename: str, map_location: Any = None) -> dict:
    loading = importlib.import_module('fastmetro_mm.engine.checkpoints.loading')
    return loading.load_from_torchvision(filename, map_location)


def _install_loaders(checkpoint: ModuleType) -> None:
    """Let mmengine read checkpoints through our loaders (its checkpoint module was imported)."""
    register = checkpoint.CheckpointLoader.register_scheme
    register('', _load_file, force=True)
    register(('http://', 'https://'), _load_address, force=True)
    register(('torchvision://', 'modelzoo://'), _load_torchvision, force=True)


def install() -> None:
    """Wait for mmpose's registries and mmengine's loaders; changes what is imported already."""
    after_import('mmpose.registry', _add_locations)
    after_import('mmengine.runner.checkpoint', _install_loaders)


def import_all() -> None:
    """Import every module with registered classes, for those who want all of them at once."""
    for location in sorted(set(LOCATIONS.values())):
        importlib.import_module(location)
