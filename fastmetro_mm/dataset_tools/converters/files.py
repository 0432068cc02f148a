# SPDX-License-Identifier: Apache-2.0
"""Reading the files of original releases: json, pickles without running them, images."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.body.safe_pickle import load_allow_listed, load_object_member, plain
from fastmetro_mm.dataset_tools.converters.rows import SkipRow
from fastmetro_mm.errors import BodyDataError, DataSetError, MissingFileError


def read_json(path: str | Path, mend: str) -> Any:
    """Content of a json file.

    Args:
        path: The file.
        mend: What to do where it is missing, for the message.

    Raises:
        FileNotFoundError: No such file.
        DataSetError: Not json.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path} not found: {mend}')
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise DataSetError(f'{path} is not json (cut off?): download it again') from None


def deep_plain(value: Any) -> Any:
    """Turn the inert records of a pickle into numpy arrays, inside dicts and lists too."""
    if isinstance(value, dict):
        return {key: deep_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(deep_plain(item) for item in value)
    value = plain(value)
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        if value.ndim == 0:
            return deep_plain(value.item())
        flat = np.empty(value.size, object)
        for index, item in enumerate(value.ravel()):
            flat[index] = deep_plain(item)
        return flat.reshape(value.shape)
    return value


def read_pickle(path: str | Path, mend: str) -> Any:
    """Content of a pickle of plain values and numpy arrays; nothing in it is run.

    Raises:
        FileNotFoundError: No such file.
        DataSetError: Damaged, or it names anything but numpy arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path} not found: {mend}')
    try:
        with open(path, 'rb') as stream:
            return deep_plain(load_allow_listed(stream, str(path)))
    except BodyDataError as error:
        raise DataSetError(' '.join(str(error).split())) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise DataSetError(f'{path}: damaged pickle ({type(error).__name__}): download it again'
                           ) from None


# What Python's zip and numpy readers raise on damaged files.
DAMAGED_NPZ = (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, zlib.error,
               struct.error, ValueError, TypeError, KeyError, AttributeError, IndexError,
               MemoryError, SyntaxError)


class RestrictedNpz:
    """Members of an npz by name, pickled ones too, read without running anything.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: No such file.
        DataSetError: Not an npz.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise MissingFileError(f'{path} not found: give the npz file with --in')
        try:
            with zipfile.ZipFile(self.path) as archive:
                self.names = [n[:-4] for n in archive.namelist() if n.endswith('.npy')]
        except DAMAGED_NPZ:
            raise DataSetError(f'{path} is not an npz file: download it again') from None

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Any:
        """One member: an array, or what a pickled 0-d array holds.

        Raises:
            DataSetError: Damaged or unsafe.
        """
        source = f'{self.path} member {name}'
        try:
            with zipfile.ZipFile(self.path) as archive:
                payload = archive.read(f'{name}.npy')
            return deep_plain(load_object_member(payload, source))
        except BodyDataError as error:
            raise DataSetError(' '.join(str(error).split())) from None
        except DAMAGED_NPZ as error:
            raise DataSetError(f'{source} is damaged ({type(error).__name__}): download it again'
                               ) from None


def load_npy(path: Path) -> np.ndarray:
    """Plain array of a ``.npy`` file.

    Raises:
        SkipRow: Missing or damaged (one row of a set has one such file).
    """
    if not path.is_file():
        raise SkipRow(f'{path.suffix} file not found')
    try:
        return np.lib.format.read_array(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (ValueError, OSError, EOFError):
        raise SkipRow('damaged .npy file') from None


def require_folder(path: str | Path, what: str, fix: str = 'correct the path') -> Path:
    """The folder, checked.

    Raises:
        FileNotFoundError: No such folder.
    """
    path = Path(path)
    if not path.is_dir():
        raise MissingFileError(f'{what} {path} not found: {fix}')
    return path
