# SPDX-License-Identifier: Apache-2.0
"""Lets ``mmpose.models`` be imported without mmdet.

One file of mmpose 1.3.2, the head of the RTMO detector, imports ``mmdet.utils`` at load, and with
it the whole of ``mmpose.models`` needs an mmdet that is there and accepts the installed mmcv. While
that one file loads, a shell takes mmdet's place; afterwards ``import mmdet`` does what it did
before, so code that asks whether mmdet is there gets the right answer.
"""

import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_RTMO_HEAD = 'mmpose.models.heads.hybrid_heads.rtmo_head'


def _reduce_mean(tensor: Any) -> Any:
    """``mmdet.utils.reduce_mean``, found when it is called (by the loss of RTMO only)."""
    try:
        from mmdet.utils import reduce_mean
    except ImportError as error:
        from fastmetro_mm.compat.stack import fix_for

        raise RuntimeError(
            f'training RTMO needs mmdet, which does not load ({error}); fix: {fix_for("mmdet")}'
        ) from error
    return reduce_mean(tensor)


@contextmanager
def _shell_of_mmdet() -> Iterator[None]:
    """A shell of ``mmdet.utils`` in ``sys.modules``, which is put back afterwards."""
    shell = {'mmdet': ModuleType('mmdet'), 'mmdet.utils': ModuleType('mmdet.utils')}
    shell['mmdet'].__path__ = []
    vars(shell['mmdet.utils']).update(ConfigType=dict, reduce_mean=_reduce_mean)
    before = {name: sys.modules[name] for name in shell if name in sys.modules}
    sys.modules.update(shell)
    try:
        yield
    finally:
        for name in shell:
            sys.modules.pop(name, None)
        sys.modules.update(before)


class _RTMOFinder:
    """Import hook for the one file, unless mmdet is loaded anyway."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The ordinary spec, loaded beside the shell, or None to stay out of the way."""
        if fullname != _RTMO_HEAD or sys.modules.get('mmdet.utils') is not None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _shell_of_mmdet()(spec.loader.exec_module)
        return spec


def install() -> None:
    """Register the import hook once."""
    if not any(isinstance(finder, _RTMOFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _RTMOFinder())
