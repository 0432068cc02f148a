# SPDX-License-Identifier: Apache-2.0
"""Which image a user means by a name or number."""

from __future__ import annotations

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.errors import InputError


class ImageNames:
    """The images of one input, to be found by name.

    Args:
        names: Their paths as they were given; None for arrays.
    """

    def __init__(self, names: Sequence[str | None]) -> None:
        self.names = names
        self._by_last: dict[str, list[int]] = defaultdict(list)
        self._by_number: dict[int, list[int]] = defaultdict(list)
        for place, name in enumerate(names):
            if name:
                last = _parts(name)[-1]
                for text in {last.casefold(), _stem(last).casefold()}:
                    self._by_last[text].append(place)
                number = number_of(_stem(last))
                if number is not None:
                    self._by_number[number].append(place)

    def places(self, key: Any, where: str) -> list[int]:
        """The image that a key means.

        Args:
            key: A path, the end of one, a name with or without ending, or a number: that of a
                file named by a number (``000012.jpg``), else the place in the list.
            where: What has this key, for the message.

        Returns:
            Places in the list: none, one, or several of the same file.

        Raises:
            InputError: If it fits several files.
        """
        places, number = self.by_path(key), number_of(key)
        if not places and number is not None:
            if self._by_number:
                places = self._by_number.get(number, [])
            elif number < len(self.names):
                places = [number]
        names = [self.names[place] for place in places]
        files = {str(Path(name).absolute()) for name in names if name}
        if len(files) > 1:
            first, second = sorted(files)[:2]
            raise InputError(f'{where}: {key!r} fits {first} and {second}: give more of the path')
        return places

    def by_path(self, key: Any) -> list[int]:
        """Places of the files whose path, end of path, name or stem a key is.

        Args:
            key: The key; anything but text fits nothing.

        Returns:
            Those that fit it as it is written; if there is none, without regard to case.
        """
        if not isinstance(key, str) or not key:
            return []
        wanted = _parts(key)
        fitting = [
            (place, _fit(wanted, self.names[place] or ''))
            for place in self._by_last.get(wanted[-1].casefold(), [])
        ]
        best = max((fit for _, fit in fitting), default=0)
        return [place for place, fit in fitting if fit == best > 0]


def number_of(key: Any) -> int | None:
    """The number a key is: 7, '7', '000007'; None if it is none."""
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        return int(key) if key >= 0 else None
    text = key.strip() if isinstance(key, str) else ''
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _fit(wanted: list[str], name: str) -> int:
    """How well a key fits: 3 as the whole path given, 2 in its end, 1 but for case, 0 not."""
    if wanted == _parts(name):
        return 3
    best = 0
    for path in (_parts(name), _parts(str(Path(name).absolute()))):
        for candidate in (path, [*path[:-1], _stem(path[-1])]):
            end = candidate[-len(wanted) :]
            if end == wanted:
                best = 2
            elif [part.casefold() for part in end] == [part.casefold() for part in wanted]:
                best = max(best, 1)
    return best


def _parts(path: str) -> list[str]:
    """Parts of a path, letters and slashes written in one way."""
    text = unicodedata.normalize('NFC', path.replace('\\', '/'))
    return posixpath.normpath(text).split('/')


def _stem(name: str) -> str:
    return name.rsplit('.', 1)[0] if '.' in name[1:] else name
