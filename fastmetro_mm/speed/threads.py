# SPDX-License-Identifier: Apache-2.0
"""How many processor threads a network takes beside other work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch

Item = TypeVar('Item')


def leaving_a_core(items: Iterable[Item], threads: int) -> Iterator[Item]:
    """Make items with one thread of torch less, for a thread that works beside others.

    The threads of a layer wait for each other all the time: one whose core is taken by another
    stage holds up all of them, which costs far more than that core.

    Args:
        items: What makes them.
        threads: Threads of torch otherwise.

    Yields:
        The items.
    """
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield from items
    finally:
        torch.set_num_threads(threads)
