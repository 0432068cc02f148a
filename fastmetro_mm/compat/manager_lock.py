# SPDX-License-Identifier: Apache-2.0
"""Gives mmengine's lock back where its managers raise while they hold it.

mmengine 0.10.7 takes one lock in ``get_instance`` and ``get_current_instance`` and gives it back at
their end only. After an error in one of them (no visualizer yet, a log file that cannot be written)
every other thread waits for ever as soon as it logs a line, and so does whoever waits for it.
"""

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from fastmetro_mm.compat.after_import import after_import

_METHODS = ('get_instance', 'get_current_instance')


def _release_at_errors(module: ModuleType) -> None:
    manager = module.ManagerMixin
    for name in _METHODS:
        method = vars(manager)[name].__func__
        if not hasattr(method, '__wrapped__'):
            setattr(manager, name, classmethod(_releasing(method, module)))


def _releasing(method: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    @wraps(method)
    def careful(cls: type, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(cls, *args, **kwargs)
        except BaseException:
            module._release_lock()
            raise

    return careful


def install() -> None:
    """Mind the lock from mmengine's import on; harmless when called again."""
    after_import('mmengine.utils.manager', _release_at_errors)
