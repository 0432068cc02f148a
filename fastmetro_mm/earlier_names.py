# SPDX-License-Identifier: Apache-2.0
"""Arguments and attributes that have shipped under another name keep working."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

T = TypeVar('T', bound=Callable[..., Any])


def accept_old_keywords(**names: str) -> Callable[[T], T]:
    """Let a function or a class take arguments by earlier names too.

    Args:
        names: New name of every old one.
    """

    def decorate(target: T) -> T:
        call: Any = target.__init__ if isinstance(target, type) else target

        @wraps(call)
        def renamed(*args: Any, **kwargs: Any) -> Any:
            return call(*args, **{names.get(name, name): kwargs[name] for name in kwargs})

        if isinstance(target, type):
            target.__init__ = renamed  # pyright: ignore
            return target  # pyright: ignore[reportReturnType]
        return renamed  # pyright: ignore[reportReturnType]

    return decorate


def alias_of(name: str) -> Any:
    """An attribute under an earlier name, to be read and set.

    Returns:
        A property of the class.
    """
    return property(
        lambda self: getattr(self, name),
        lambda self, value: setattr(self, name, value),
        doc=f'``{name}`` under its earlier name.',
    )
