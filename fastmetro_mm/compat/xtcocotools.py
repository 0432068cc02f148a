# SPDX-License-Identifier: Apache-2.0
"""Answers for the package ``xtcocotools`` where it is not installed, with pycocotools."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

_PACKAGE = 'xtcocotools'


class _CocoFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Last import hook for ``xtcocotools``; both finder (meta path) and loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim the package; nobody before this hook had it."""
        if fullname != _PACKAGE or importlib.util.find_spec('pycocotools') is None:
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Use Python's default module object."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the submodules that mmpose imports into ``sys.modules``."""
        tools = importlib.import_module('fastmetro_mm.compat.coco_tools')
        mask = importlib.import_module('pycocotools.mask')
        module.__path__ = []
        module.__doc__ = 'Stand-in for xtcocotools made by fastmetro_mm.compat from pycocotools.'
        for name, content in dict(
            coco=dict(COCO=tools.COCO), cocoeval=dict(COCOeval=tools.COCOeval), mask=vars(mask)
        ).items():
            submodule = ModuleType(f'{_PACKAGE}.{name}')
            submodule.__dict__.update(
                {key: value for key, value in content.items() if not key.startswith('__')}
            )
            sys.modules[submodule.__name__] = submodule
            setattr(module, name, submodule)


def install() -> None:
    """Register the import hook once, behind all others: an installed xtcocotools wins."""
    if not any(isinstance(finder, _CocoFinder) for finder in sys.meta_path):
        sys.meta_path.append(_CocoFinder())


def is_stand_in() -> bool:
    """Whether ``xtcocotools`` in this process is the stand-in (imports it)."""
    package = importlib.import_module(_PACKAGE)
    return isinstance(getattr(package.__spec__, 'loader', None), _CocoFinder)
