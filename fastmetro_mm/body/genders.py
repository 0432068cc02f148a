# SPDX-License-Identifier: Apache-2.0
"""Genders as data sets write them, in the four words that labels know."""

from __future__ import annotations

from typing import Any

import numpy as np

GENDERS = ('male', 'female', 'neutral', 'none')
_WORDS = {'m': 'male', 'f': 'female', 'n': 'neutral', '': 'none', **{g: g for g in GENDERS}}


def parse_gender(value: Any) -> str:
    """Gender of a body model as one of `GENDERS`.

    Args:
        value: Text or bytes, a letter or a word in any case (3DPW has ``'m'``, Pose2Mesh
            ``'male'``, pickles of Python 2 bytes); None where nothing is known.

    Returns:
        ``'male'``, ``'female'``, ``'neutral'``, or ``'none'`` where nothing is known.

    Raises:
        ValueError: Anything else: it would silently become the neutral body.
    """
    if value is None:
        return 'none'
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    text = value.decode('latin1') if isinstance(value, bytes) else value
    if isinstance(text, str) and text.strip().lower() in _WORDS:
        return _WORDS[text.strip().lower()]
    raise ValueError(f'gender is {str(value)[:20]!r}, expected male, female or neutral')
