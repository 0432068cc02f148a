# SPDX-License-Identifier: Apache-2.0
"""Modules by the names they had in 0.1.0, which configs written by old trainings hold."""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

MOVED = {
    'body_models': 'body',
    'apis.drawing': 'visualization.frame_drawing',
    'apis.model_loading': 'model_zoo.model_loading',
    'apis.picture_camera': 'apis.image_camera',
    'apis.results': 'structures.results',
    'datasets.converters': 'dataset_tools.converters',
    'datasets.inspection': 'dataset_tools.inspection',
    'datasets.inspection.sample_picture': 'dataset_tools.inspection.sample_image',
    'engine.allocator': 'speed.allocator',
    'engine.atomic_backend': 'engine.checkpoints.atomic_backend',
    'engine.checkpoint_hook': 'engine.hooks.checkpoint_hook',
    'engine.checkpoint_loading': 'engine.checkpoints.loading',
    'engine.epoch_seed_hook': 'engine.hooks.epoch_seed_hook',
    'engine.mesh_visualization_hook': 'engine.hooks.mesh_visualization_hook',
    'engine.plain_checkpoint_hook': 'engine.hooks.plain_checkpoint_hook',
    'engine.state_dict_check': 'engine.checkpoints.state_dict_check',
    'engine.summary_hook': 'engine.hooks.summary_hook',
    'models.acceleration': 'speed.acceleration',
    'visualization.picture_files': 'visualization.image_files',
}
_PACKAGE = __name__.partition('.')[0]


def new_name(name: str) -> str | None:
    """What a module is called today; None if it never had another name."""
    parts = name.split('.')
    if parts[0] != _PACKAGE:
        return None
    for end in range(len(parts), 1, -1):
        moved = MOVED.get('.'.join(parts[1:end]))
        if moved is not None:
            return '.'.join([_PACKAGE, moved, *parts[end:]])
    return None


class _Finder:
    """Answers for old names only, with the module of the new one."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Spec of an old name."""
        loader: Any = _Finder  # the class itself
        return None if new_name(name) is None else spec_from_loader(name, loader)

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """An empty module, soon replaced."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Put the module of the new name in its place."""
        name = module.__name__
        sys.modules[name] = importlib.import_module(new_name(name) or name)


def install() -> None:
    """Answer for old names; harmless when called again."""
    if _Finder not in sys.meta_path:
        # first, or modules of a moved package would be found in its folder and imported twice
        sys.meta_path.insert(0, _Finder)
