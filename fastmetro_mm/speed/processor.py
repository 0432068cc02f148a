# SPDX-License-Identifier: Apache-2.0
"""What the system tells of its processor."""

from functools import cache
from pathlib import Path


@cache
def cpuinfo() -> str:
    """Linux's description of every core; empty on other systems."""
    try:
        return Path('/proc/cpuinfo').read_text()
    except OSError:
        return ''
