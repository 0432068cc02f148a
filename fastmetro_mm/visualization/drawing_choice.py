# SPDX-License-Identifier: Apache-2.0
"""The choice of what runs the software renderer's loops: NumPy, or machine code where that pays.

Machine code (``pip install 'fastmetro_mm[draw]'``, which is numba) draws two to three times as
fast and lets other threads work meanwhile, but must be loaded, once a process, and compiled, once
an installation. ``auto`` draws with NumPy until that has taken as long as loading would, so that
the whole never takes more than twice the time of the better choice. Both draw the same pixels, but
for rounding. ``$FASTMETRO_DRAWING`` (``auto``, ``numpy``, ``compiled``) is what ``auto`` stands
for.
"""

import hashlib
import importlib.util
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from fastmetro_mm.errors import ConfigError, MissingPackageError, RendererUnavailableError
from fastmetro_mm.fileio import cache_folder
from fastmetro_mm.visualization import numpy_drawing

LOOPS = ('auto', 'numpy', 'compiled')
VARIABLE = 'FASTMETRO_DRAWING'

LOADING = 0.5
"""Seconds of drawing (processor time) after which machine code is loaded that was made before."""
COMPILING = 10.0
"""Seconds of drawing after which it is made."""

Draw = Callable[..., None]
_FOLDER = Path(__file__).parent


def check_loops(loops: str) -> str:
    """The name of what runs the loops, if it is one, and what stands for ``auto`` is, too.

    Args:
        loops: ``auto``, ``numpy`` or ``compiled``.

    Raises:
        ConfigError: If it is unknown.
    """
    for name, value in (('loops', loops), (f'${VARIABLE}', os.environ.get(VARIABLE) or 'auto')):
        if value not in LOOPS:
            raise ConfigError(f'{name} is {value!r}: choose from {", ".join(LOOPS)}')
    return loops


@contextmanager
def timed_drawing(loops: str) -> Iterator[Draw]:
    """What draws a scene now, for one call; how long it takes counts for later ones.

    Yields:
        ``numpy_drawing.draw``, or another function that does the same.

    Raises:
        MissingPackageError: If ``compiled`` is asked for and numba is not installed.
        RendererUnavailableError: If it is, and does not work.
    """
    if loops == 'auto':
        check_loops(loops)
        loops = os.environ.get(VARIABLE) or 'auto'
    if loops == 'numpy':
        yield numpy_drawing.draw
    elif loops == 'compiled':
        yield _STATE.load()
    elif _STATE.draw is not None:
        yield _STATE.draw
    else:
        draw = _STATE.load_if_it_pays()
        start = time.thread_time()
        yield draw
        _STATE.spent += time.thread_time() - start


def machine_code_folder() -> Path:
    """Where machine code lies that was made from these sources, or will lie."""
    known = hashlib.sha256()
    # numba itself looks at a single file
    for path in (_FOLDER / 'supersampling.py', *sorted((_FOLDER / 'compiled').glob('*.py'))):
        known.update(path.read_bytes())
    return cache_folder() / 'drawing' / known.hexdigest()[:16]


class _MachineCode:
    """Machine code in this process, loaded at most once."""

    def __init__(self) -> None:
        self.draw: Draw | None = None
        self.spent = 0.0
        self._failure: Exception | None = None
        self._enough: float | None = None
        self._lock = threading.Lock()

    def load_if_it_pays(self) -> Draw:
        """The machine code once enough time was spent without it, if it can be had; else NumPy."""
        if self._failure is not None or self.spent < (self._enough or LOADING):
            return numpy_drawing.draw
        if not self._lock.acquire(blocking=False):
            return numpy_drawing.draw  # another thread is at it
        try:
            if self._enough is None:
                self._enough = LOADING if any(machine_code_folder().glob('*/*.nbi')) else COMPILING
            if self.spent < self._enough:
                return numpy_drawing.draw
            return self._loaded()
        except Exception as error:
            if not isinstance(error, MissingPackageError):
                print_log(f'{error}; NumPy draws on', logger='current', level=logging.WARNING)
            return numpy_drawing.draw
        finally:
            self._lock.release()

    def load(self) -> Draw:
        """The machine code.

        Raises:
            MissingPackageError: If numba is not installed.
            RendererUnavailableError: If something else is wrong.
        """
        with self._lock:
            return self._loaded()

    def _loaded(self) -> Draw:
        if self._failure is not None:
            raise self._failure
        if self.draw is None:
            try:
                self.draw = _load()
            except Exception as error:  # of a foreign compiler: anything
                self._failure = error
                if not isinstance(error, MissingPackageError):
                    line = ' '.join(str(error).split())[:200]
                    self._failure = RendererUnavailableError(
                        f'the compiled drawing does not work ({type(error).__name__}: {line})'
                    )
                raise self._failure from None
        return self.draw


_STATE = _MachineCode()


def _load() -> Draw:
    if importlib.util.find_spec('numba') is None:
        raise MissingPackageError(
            "compiled drawing needs numba: pip install 'fastmetro_mm[draw]', or leave it to NumPy"
        )
    config: Any = importlib.import_module('numba').config  # its names are made when it runs

    from fastmetro_mm.visualization.compiled import drawing

    folder = machine_code_folder()
    if _is_writable(folder):
        # read by numba when it is told to keep what it makes; programs have settings of their own
        before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
        try:
            drawing.draw_scene.enable_caching()
        finally:
            config.CACHE_DIR = before
    drawing.draw_scene.compile(drawing.SIGNATURE)
    return drawing.draw


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
