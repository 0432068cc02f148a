# SPDX-License-Identifier: Apache-2.0
"""One line of the report."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Something that was looked at."""

    name: str  # what was looked at
    # ``ok``; ``note`` for something optional that is missing; ``problem`` for something that stops
    # training or inference on the open body
    state: Literal['ok', 'note', 'problem']
    detail: str  # version, place or reason, in one line
    fix: str = ''  # command (or sentence) that fixes it; empty for ``ok``
