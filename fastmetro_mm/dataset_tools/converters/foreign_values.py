# SPDX-License-Identifier: Apache-2.0
"""Numbers and texts from other people's files, checked and brought into one form.

Nothing is reshaped that was not written in that shape: 10 x N numbers in rows of ten are other
people's shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

NUM_BETAS = 10
_SHOWN = 40


def text_of(value: Any, what: str) -> str:
    """Text, or bytes in UTF-8 (NumPy's too), as text.

    Raises:
        ValueError: Something else.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError(f'{what} is not UTF-8 text') from None
    if not isinstance(value, str):
        raise ValueError(f'{what} is not text')
    return str(value)


def texts(value: Any, what: str) -> list[Any]:
    """A list of names as one array, list or tuple; its items are left to `text_of`.

    Raises:
        ValueError: Not a list.
    """
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist() if value.ndim == 1 or value.size == 1 else None
    if not isinstance(value, (list, tuple)):
        raise ValueError(f'{what} is not a list of names')
    return list(value)


def numbers(value: Any, what: str) -> np.ndarray:
    """Real numbers as a float64 array of the shape that they have.

    Raises:
        ValueError: Text, null, ragged lists, complex numbers.
    """
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        value = value.tolist()  # an array of arrays
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise ValueError(f'{what} does not hold numbers in rows of one length') from None
    if array.dtype.kind not in 'biuf':
        raise ValueError(f'{what} does not hold numbers')
    return array.astype(np.float64)


def shaped(value: Any, what: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """Numbers in one of several shapes, brought into the first one.

    Args:
        value: See `numbers`.
        what: Name for messages.
        shapes: Shapes that hold the same numbers in the same order, as ``(72,)`` and ``(24, 3)``.

    Raises:
        ValueError: Another shape, also where it has as many numbers.
    """
    array = numbers(value, what)
    if array.shape not in shapes:
        expected = ' or '.join(map(str, shapes))
        raise ValueError(f'{what} has shape {array.shape}, expected {expected}')
    return array.reshape(shapes[0])


def pose_of(value: Any) -> np.ndarray:
    """Axis-angle pose (72,) from that, from (24, 3) or from one row of either."""
    return shaped(value, 'pose', (72,), (24, 3), (1, 72))


def betas_of(value: Any, what: str = 'betas') -> np.ndarray:
    """The first ten shape coefficients of one body, (10,), from (K,) or (1, K), K at least 10.

    Files with 11 (kid), 16 or 300 coefficients are cut: the labels have ten.
    """
    array = numbers(value, what)
    array = array[0] if array.ndim == 2 and len(array) == 1 else array
    if array.ndim != 1 or len(array) < NUM_BETAS:
        raise ValueError(f'{what} has shape {array.shape}, expected ({NUM_BETAS},)')
    return array[:NUM_BETAS]


def betas_rows(value: Any, count: int, what: str = 'betas') -> np.ndarray:
    """The first ten shape coefficients of `count` bodies, (count, 10).

    Args:
        value: (count, K) with K at least 10; (1, K) or (K,) is one shape for all.
        count: Number of bodies.
        what: Name for messages.
    """
    array = numbers(value, what)
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) not in (1, count) or array.shape[1] < NUM_BETAS:
        raise ValueError(f'{what} has shape {array.shape}, expected ({count}, {NUM_BETAS})')
    return np.broadcast_to(array[:, :NUM_BETAS], (count, NUM_BETAS)).copy()


def betas_note(sizes: Sequence[int]) -> str:
    """What the user is told where files carry more than ten shape coefficients."""
    longer = sorted({size for size in sizes if size > NUM_BETAS})
    if not longer:
        return ''
    return f'; of {" or ".join(map(str, longer))} betas the first {NUM_BETAS} are taken'


def positive(value: float, what: str) -> float:
    """An option that must be a finite number above 0.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise ValueError(f'{what} is {value!r}, expected a number above 0')
    return value
