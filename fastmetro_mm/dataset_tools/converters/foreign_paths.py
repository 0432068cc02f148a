# SPDX-License-Identifier: Apache-2.0
"""Images named by other people's files, kept inside the folder that the user gave."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from fastmetro_mm.dataset_tools.converters.foreign_values import text_of
from fastmetro_mm.dataset_tools.converters.rows import SkipRow

# Faults of one name or file; every other one (a disk that is gone) ends the conversion.
_FAULTS_OF_ONE = {
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.ELOOP,
    errno.EINVAL,
}


def key_of(name: Any) -> str:
    """Name of an image as the key of its row, with ``/`` between folders; never raises."""
    try:
        return text_of(name, 'name').replace('\\', '/')
    except ValueError:
        return repr(name)[:80]


def find_image(root: str | os.PathLike, name: Any) -> Path:
    """Place of an image inside a folder.

    Links that the user laid inside the folder are followed; names that lead out of it are not.

    Args:
        root: The folder.
        name: Name from a file, relative to the folder (or absolute inside it); Windows
            separators and bytes are understood.

    Returns:
        The path, whether or not there is such a file.

    Raises:
        SkipRow: Not a name, or it leads out of the folder.
    """
    try:
        text = text_of(name, 'the name of the image')
    except ValueError as error:
        raise SkipRow(str(error)) from None
    path = _inside(root, text)
    if '\\' in text and not is_file(path):
        path = _inside(root, text.replace('\\', '/'))
    return path


def _inside(root: str | os.PathLike, text: str) -> Path:
    base = os.path.abspath(root)
    path = os.path.normpath(os.path.join(base, text))
    if '\0' in text or not path.startswith(os.path.join(base, '')):
        raise SkipRow('the name of the image leads out of the image folder')
    return Path(path)


def is_file(path: Path) -> bool:
    """Whether there is such a file; also for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or not a name that this system can have
        return False


def read_image(path: Path) -> bytes:
    """Encoded image.

    Raises:
        SkipRow: No such image, or it cannot be opened.
        OSError: The disk fails.
    """
    if not is_file(path):
        raise SkipRow('image not found')
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno not in _FAULTS_OF_ONE:
            raise
        raise SkipRow(f'image cannot be opened ({error.strerror})') from None


def files_below(folder: str | os.PathLike) -> list[Path]:
    """All files below a folder, sorted; linked folders too, each once."""
    seen, found = set(), []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()  # which of two links to one folder counts
        true_place = os.path.realpath(place)
        if true_place in seen:
            folders.clear()
            continue
        seen.add(true_place)
        found += [Path(place) / name for name in names]
    return sorted(found)
