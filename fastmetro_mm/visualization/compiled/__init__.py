# SPDX-License-Identifier: Apache-2.0
"""The software renderer's loops as machine code (numba), which do not hold Python's lock.

They draw what ``numpy_drawing.py`` draws; why things are done as they are is said there. Only
``drawing_choice.py`` imports this package: it says when, and where the machine code is kept.
"""

from numba import njit  # pyright: ignore[reportMissingImports]

loop = njit(nogil=True, error_model='numpy')
"""Makes a loop machine code."""
