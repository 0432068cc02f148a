# SPDX-License-Identifier: Apache-2.0
"""One line of the report."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Something that was looked at.

    Args:
        name: What was looked at.
        state: ``ok``; ``note`` for something optional that is missing; ``problem`` for something
            that stops training or inference on the open body.
        detail: Version, place or reason, in one line.
        fix: Command (or sentence) that fixes it; empty for ``ok``.
    """

    name: str
    state: Literal['ok', 'note', 'problem']
    detail: str
    fix: str = ''
