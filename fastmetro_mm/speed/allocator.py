# SPDX-License-Identifier: Apache-2.0
"""Keep memory that a computation on the CPU frees, instead of giving it back every time."""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Let glibc keep the memory of freed tensors for the next ones.

    glibc returns every block above 32 MB to the system when it is freed. A network's feature
    maps are freed and wanted again layer by layer, and each time the system clears their pages
    first. The setting holds for the whole process; its peak memory is not given back before it
    ends. On a GPU tensors do not come from here.

    Returns:
        Whether the setting was made; not where the C library is another.
    """
    if not sys.platform.startswith('linux'):
        return False
    try:
        mallopt = ctypes.CDLL('libc.so.6').mallopt
    except (OSError, AttributeError):
        return False
    everything = 2**31 - 1
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, everything), (_M_TOP_PAD, 64 << 20))
    return all([mallopt(name, value) == 1 for name, value in settings])
