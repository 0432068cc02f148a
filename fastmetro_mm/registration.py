# SPDX-License-Identifier: Apache-2.0
"""Makes the package known to mmpose and mmengine without importing either.

mmengine's registries import the modules that hold their classes when they are first asked for a
name. So it is enough to tell the registries of mmpose, once they exist, where ours lie.
"""

import functools
import importlib
import sys
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


def _mind_our_networks(inference: ModuleType) -> None:
    """Let ``mmpose.apis.init_model`` read weights of our estimator through our reader.

    mmengine's loaders stay: they are those of the whole process, and the models of other projects
    must load as they do without us.
    """
    original = inference.load_checkpoint

    @functools.wraps(original)
    def load_checkpoint(model: Any, filename: str, *args: Any, **kwargs: Any) -> dict:
        ours = sys.modules.get('fastmetro_mm.models.mesh_estimator')
        if ours is None or not isinstance(model, ours.TopdownMeshEstimator):
            return original(model, filename, *args, **kwargs)
        loading = importlib.import_module('fastmetro_mm.engine.checkpoints.estimator_loading')
        return loading.load_for_estimator(model, filename)

    vars(inference)['load_checkpoint'] = load_checkpoint


def _allow_arrays_and_histories(_: ModuleType) -> None:
    """Let torch read what mmpose itself writes (mmengine's checkpoint module was imported)."""
    importlib.import_module(
        'fastmetro_mm.engine.checkpoints.safe_globals'
    ).allow_arrays_and_histories()


def install() -> None:
    """Wait for mmpose's registries and the loading of weights; changes what is imported already."""
    after_import('mmpose.registry', _add_locations)
    after_import('mmpose.apis.inference', _mind_our_networks)
    after_import('mmengine.runner.checkpoint', _allow_arrays_and_histories)


def import_all() -> None:
    """Import every module with registered classes, for those who want all of them at once."""
    for location in sorted(set(LOCATIONS.values())):
        importlib.import_module(location)
