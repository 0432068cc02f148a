# SPDX-License-Identifier: Apache-2.0
"""Reading the files of original releases: json, pickles without running them, images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.dataset_tools.converters.rows import SkipRow
from fastmetro_mm.errors import DataSetError, MissingFileError
from fastmetro_mm.foreign_files import archives, pickles
from fastmetro_mm.foreign_files.archives import NpzFile
from fastmetro_mm.foreign_files.damage import raise_as
from fastmetro_mm.foreign_files.kinds import recognise, sentence


def read_json(path: str | Path, fix: str) -> Any:
    """Content of a json file.

    Args:
        path: The file.
        fix: What to do where it is missing, for the message.

    Raises:
        FileNotFoundError: No such file.
        DataSetError: Not json.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path} not found: {fix}')
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        kind = recognise(path)
        if kind not in ('json', 'text', 'unknown'):
            raise DataSetError(
                f'{path}: expected json, but the file {sentence(kind, path)}'
            ) from None
        raise DataSetError(f'{path} is not json (cut off?): download it again') from None


def read_pickle(path: str | Path, fix: str) -> Any:
    """Content of a pickle of plain values and numpy arrays; nothing in it is run.

    Raises:
        DataSetError: Damaged, or it names anything but numpy arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path} not found: {fix}')
    with raise_as(DataSetError):
        return pickles.read_pickle(path)


class RestrictedNpz(NpzFile):
    """Members of an npz of a release; errors are those of data sets.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: No such file.
        DataSetError: Not an npz.
    """

    def __init__(self, path: str | Path) -> None:
        if not Path(path).is_file():
            raise MissingFileError(f'{path} not found: give the npz file with --in')
        with raise_as(DataSetError):
            super().__init__(path)

    def read(self, name: str, shape: tuple[int | None, ...] | None = None) -> Any:
        """See ``NpzFile.read``.

        Raises:
            DataSetError: Damaged, unsafe or too large.
        """
        with raise_as(DataSetError):
            return super().read(name, shape)


def load_npy(path: Path) -> np.ndarray:
    """Plain array of a ``.npy`` file.

    Raises:
        SkipRow: Missing or damaged (one row of a set has one such file).
    """
    if not path.is_file():
        raise SkipRow(f'{path.suffix} file not found')
    with raise_as(SkipRow):
        return archives.load_npy(path)


def require_folder(path: str | Path, what: str, fix: str = 'correct the path') -> Path:
    """The folder, checked.

    Raises:
        FileNotFoundError: No such folder.
    """
    path = Path(path)
    if not path.is_dir():
        raise MissingFileError(f'{what} {path} not found: {fix}')
    return path
