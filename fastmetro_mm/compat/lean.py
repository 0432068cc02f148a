# SPDX-License-Identifier: Apache-2.0
"""For the command line: packages whose ``__init__`` runs only if it is needed.

``import mmpose.models.backbones.resnet`` first runs ``mmpose/models/__init__.py``, which imports
every network of mmpose, the data sets, SciPy's statistics and torchvision: two of the three seconds
before a photo is read. Here these packages begin as shells. A name that a shell does not know makes
it run its real ``__init__``, and so does a registry that is asked for a class nobody has registered
yet; so nothing is missing, only later. `use` is for a process of ours, which decides itself what it
imports; ``import fastmetro_mm`` in somebody's program leaves mmpose's packages alone.
"""

import gc
import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from fastmetro_mm.compat.after_import import after_import


def _homes(**modules: str) -> dict[str, str]:
    """The module of every name, told by module."""
    return {name: module for module, names in modules.items() for name in names.split()}


# Packages that become shells, with the names whose module is known.
SHELLS: dict[str, dict[str, str]] = {
    # mmengine.model, .optim and .runner import torch's sharded training, half a second
    'mmengine.model': _homes(
        base_model='BaseDataPreprocessor BaseModel ImgDataPreprocessor',
        base_module='BaseModule ModuleDict ModuleList Sequential',
        test_time_aug='BaseTTAModel',
        utils='revert_sync_batchnorm',
        weight_init='bias_init_with_prob caffe2_xavier_init constant_init initialize kaiming_init '
        'normal_init trunc_normal_init uniform_init update_init_info xavier_init',
        wrappers='is_model_wrapper',
    ),
    'mmengine.model.wrappers': {'is_model_wrapper': 'utils'},
    'mmengine.optim': _homes(
        optimizer='BaseOptimWrapper OptimWrapper OptimWrapperDict build_optim_wrapper',
        scheduler='_ParamScheduler',
    ),
    'mmengine.optim.optimizer': _homes(
        base='BaseOptimWrapper',
        builder='build_optim_wrapper',
        optimizer_wrapper='OptimWrapper',
        optimizer_wrapper_dict='OptimWrapperDict',
    ),
    'mmengine.runner': _homes(checkpoint='CheckpointLoader load_checkpoint load_state_dict'),
    'mmpose.models': {},
    'mmpose.models.backbones': {'HRNet': 'hrnet', 'ResNet': 'resnet'},
    'mmpose.models.pose_estimators': {},
    'mmpose.models.utils': {'check_and_update_config': 'check_and_update_config'},
    'mmpose.datasets': {},
    'mmpose.datasets.datasets': {},
}


class _Shell(ModuleType):
    """A package that has been found but not run."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')
        home = SHELLS[self.__name__].get(name)
        if home is not None:
            value = getattr(importlib.import_module(f'{self.__name__}.{home}'), name)
            setattr(self, name, value)
            return value
        fill(self)
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}') from None


class _ShellLoader(importlib.abc.Loader):
    """Keeps the real loader for later."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """An empty shell."""
        return _Shell(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing yet."""


class _ShellFinder:
    """Import hook for the packages of `SHELLS`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The ordinary spec with the loader put off, or None to stay out of the way."""
        if fullname not in SHELLS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _ShellLoader(spec.loader)
        return spec


def fill(module: ModuleType) -> None:
    """Run the real ``__init__`` of a shell; a module that has run, or is running, is left alone."""
    loader = getattr(module.__spec__, 'loader', None)
    if isinstance(module, _Shell) and isinstance(loader, _ShellLoader):
        # first, because its own modules import names from it while it runs
        spec = module.__spec__
        assert spec is not None  # it has the loader
        spec.loader = module.__loader__ = loader.loader
        module.__class__ = ModuleType  # pyright: ignore[reportAttributeAccessIssue]
        loader.loader.exec_module(module)


def fill_all() -> None:
    """Run all of them, outer packages first; those not imported yet will not become shells."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _ShellFinder)]
    for name in SHELLS:
        if name in sys.modules:
            fill(sys.modules[name])


def _ask_registered_first(registries: ModuleType) -> None:
    """Let mmpose's registries answer from what is registered before they import all of mmpose."""
    for registry in vars(registries).values():
        # those of mmpose, not the parents that the module imports
        if getattr(registry, 'scope', None) == 'mmpose':
            _patch(registry)


def _patch(registry: Any) -> None:
    ask = registry.get

    def get(key: str) -> Any:
        for known in (registry, registry.parent):
            if known is not None and key in known._module_dict:
                return known._module_dict[key]
        fill_all()
        return ask(key)

    registry.get = get


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """For imports: looking for garbage, which they do not leave, takes a tenth of their time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def use() -> None:
    """Make shells of packages that are not imported yet; for a process of ours, at its start."""
    if 'mmpose.models' in sys.modules or 'mmpose.datasets' in sys.modules:
        return
    sys.meta_path.insert(0, _ShellFinder())
    after_import('mmpose.registry', _ask_registered_first)
