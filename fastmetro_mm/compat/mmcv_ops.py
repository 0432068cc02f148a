# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the package ``mmcv.ops`` where mmcv has no compiled extension.

An import hook answers for ``mmcv.ops`` only. It acts at the moment somebody imports that package,
so importing ``fastmetro_mm`` loads neither mmcv nor mmdet, and it declines whenever the compiled
``mmcv._ext`` loads, so a full mmcv is never touched.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

_PACKAGE = 'mmcv.ops'


def has_compiled_ops() -> bool:
    """Whether mmcv's compiled extension is there and loads.

    Returns:
        bool: False for mmcv-lite, for a build that silently left the extension out, and for an
        extension built for another torch (which also gives a warning with the loader's reason).
    """
    try:
        importlib.import_module('mmcv._ext')
    except ModuleNotFoundError:
        return False
    except ImportError as error:
        warnings.warn(
            f'mmcv is installed with compiled ops, but they do not load ({error}); stand-ins are '
            'used instead. Reinstall mmcv for this torch version, or install mmcv-lite==2.1.0.',
            stacklevel=2,
        )
        return False
    return True


class _OpsFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import hook for ``mmcv.ops``; both finder (meta path) and loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim ``mmcv.ops`` unless the real one would work."""
        if fullname != _PACKAGE or has_compiled_ops():
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Use Python's default module object."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill the package and put its submodules into ``sys.modules``."""
        # imported here so that torch and torchvision load only when the ops are wanted
        from fastmetro_mm.compat.ops_tree import fill_package

        fill_package(module)


def install() -> None:
    """Register the import hook once; a package ``mmcv.ops`` that is loaded already stays."""
    if not any(isinstance(finder, _OpsFinder) for finder in sys.meta_path):
        # in front, because mmcv-lite ships the Python half of mmcv.ops, which fails on import
        sys.meta_path.insert(0, _OpsFinder())


def is_stand_in() -> bool:
    """Whether ``mmcv.ops``, as imported in this process, is the stand-in (imports it)."""
    ops = importlib.import_module(_PACKAGE)
    return isinstance(getattr(ops.__spec__, 'loader', None), _OpsFinder)
