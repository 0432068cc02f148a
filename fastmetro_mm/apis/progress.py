# SPDX-License-Identifier: Apache-2.0
"""Progress of a generator on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar('Item')


def show_progress(items: Iterable[Item], length: int | None) -> Iterator[Item]:
    """Pass items on and show how many there were, on stderr.

    Args:
        items: What to pass on.
        length: How many there will be, None if unknown.

    Yields:
        The items.
    """
    columns = (
        TextColumn('Meshes'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task('', total=length)
        for item in items:
            progress.advance(task)
            yield item
