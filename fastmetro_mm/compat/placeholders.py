# SPDX-License-Identifier: Apache-2.0
"""Names of ``mmcv.ops`` without a stand-in: importable, but an error when used."""

from collections.abc import Callable
from typing import Any, NoReturn

from torch import nn


class FullMMCVRequiredError(RuntimeError):
    """An operator was used that only a full mmcv (with compiled ops) has.

    Not an ``ImportError``: OpenMMLab code often swallows those and goes on with half a model.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f'mmcv.ops.{name} needs full mmcv, but the installed mmcv has no compiled ops '
            '(mmcv-lite): choose a config without this operator, or build full mmcv with '
            '`pip uninstall -y mmcv-lite && pip install --no-build-isolation "mmcv==2.1.0"`'
        )
        self.name = name


class Placeholder(nn.Module):
    """Base of all placeholder classes; may be subclassed and tested with ``isinstance``."""

    op_name = 'Placeholder'

    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise FullMMCVRequiredError(self.op_name)


def make_placeholder(name: str) -> type[Placeholder] | Callable[..., NoReturn]:
    """Make a class (capitalised name) or function (else) that raises when called.

    Args:
        name (str): name of the operator in ``mmcv.ops``.

    Returns:
        type | Callable: the placeholder; calling it raises :class:`FullMMCVRequiredError`.
    """
    if name[0].isupper():
        return type(name, (Placeholder,), dict(op_name=name, __module__='mmcv.ops'))

    def missing_op(*args: Any, **kwargs: Any) -> NoReturn:
        raise FullMMCVRequiredError(name)

    missing_op.__name__ = missing_op.__qualname__ = name
    return missing_op
