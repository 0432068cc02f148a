# SPDX-License-Identifier: Apache-2.0
"""NumPy archives (``.npz``) and single arrays (``.npy``) of unknown origin.

A zip member says how large it is, and the array in it says how large *it* is. Both are compared
with each other, and with what the caller expects, before anything is unpacked: two megabytes can
otherwise ask for five gigabytes. The checksum of every member that is read is compared.
"""

import io
import math
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from fastmetro_mm.errors import ForeignFileError
from fastmetro_mm.foreign_files.damage import DOWNLOAD_AGAIN, one_line, reading
from fastmetro_mm.foreign_files.kinds import recognise, sentence
from fastmetro_mm.foreign_files.pickles import load_allow_listed
from fastmetro_mm.foreign_files.records import deep_plain

_ALWAYS_ALLOWED = 64 << 20  # bytes that a member may unpack to, whatever its packed size
_LARGEST_RATIO = 200  # of unpacked to packed bytes beyond that
_KINDS = 'biufcSUO'


@dataclass(frozen=True)
class Header:
    """What an array says about itself."""

    shape: tuple[int, ...]  # its shape
    dtype: np.dtype  # its type
    size: int | None  # bytes that the whole ``.npy`` file must have; None for pickled objects


def read_header(stream: BinaryIO) -> Header:
    """Header of a ``.npy`` stream, which is left at the first byte of the data.

    Raises:
        ValueError: It is none, or describes no array of numbers, texts or objects.
    """
    counting = io.BytesIO(stream.read(16))
    start = counting.getvalue()
    version = np.lib.format.read_magic(io.BytesIO(start))
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f'unexpected version {version} of the array format')
    width = '<H' if version == (1, 0) else '<I'
    length = struct.calcsize(width) + struct.unpack_from(width, start, 8)[0]
    if length > 1 << 16:
        raise ValueError(f'its header is {length} bytes long')
    start += stream.read(8 + length - len(start))
    parse = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = parse(io.BytesIO(start[8:]))
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f'unexpected shape {shape}')
    if dtype.kind not in _KINDS or dtype.subdtype is not None:
        raise ValueError(f'unexpected array type {dtype.str}')
    size = None if dtype.hasobject else 8 + length + math.prod(shape) * dtype.itemsize
    return Header(shape, dtype, size)


class NpzFile:
    """Members of an ``.npz`` by name, pickled ones too, read without running anything.

    Args:
        path: The file.
        fix: What to do about a damaged file, for the messages.

    Attributes:
        names: Names of the arrays.

    Raises:
        FileNotFoundError: No such file.
        ForeignFileError: Not a NumPy archive.
    """

    def __init__(self, path: str | os.PathLike, fix: str = DOWNLOAD_AGAIN) -> None:
        self.path, self.fix = Path(path), fix
        kind = recognise(self.path)
        if kind not in ('npz', 'zip'):
            raise ForeignFileError(
                f'{self.path}: expected a NumPy archive (.npz), but the file {sentence(kind)}'
            )
        with zipfile.ZipFile(self.path) as archive:
            self._members = {
                info.filename[:-4]: info
                for info in archive.infolist()
                if info.filename.endswith('.npy')
            }
        self.names = list(self._members)
        if kind == 'zip' and not self.names:
            raise ForeignFileError(
                f'{self.path}: expected a NumPy archive (.npz), but the file '
                f'{sentence(kind, self.path)}'
            )

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __getitem__(self, name: str) -> Any:
        """See :meth:`read`."""
        return self.read(name)

    def header(self, name: str) -> Header:
        """What an array says about itself, without reading it.

        Raises:
            ForeignFileError: It is missing, damaged, encrypted, or its sizes contradict.
        """
        with self._reading(name) as archive:
            return self._header(archive, name)[0]

    def read(self, name: str, shape: tuple[int | None, ...] | None = None) -> Any:
        """One array, or what a pickled member holds with its records turned into arrays.

        Args:
            name: Name of the array.
            shape: Expected shape, None where any length will do. It is compared before anything
                is unpacked; None means any shape of a plausible size. Pickled members have a
                shape only after reading and are bounded by their size alone.

        Raises:
            UnsafePickleError: The pickle asks for a foreign name; nothing was run.
            ForeignFileError: It is missing, damaged, too large or of another shape.
        """
        with self._reading(name) as archive:
            header, info = self._header(archive, name)
            wanted = shape if header.size is not None else None
            if wanted is not None and not _same_shape(header.shape, wanted):
                raise ForeignFileError(
                    f'{self._where(name)}: has shape {header.shape}, expected {_shown(wanted)}'
                )
            if wanted is None or None in wanted:
                refuse_bomb(info, self._where(name), self.fix)
            with archive.open(info) as stream:
                if header.size is not None:
                    array = np.lib.format.read_array(stream, allow_pickle=False)
                    if stream.read(1):  # also reaches the end, where the checksum is compared
                        raise ValueError('there are bytes behind the array')
                    return array
                read_header(cast(BinaryIO, stream))
                return deep_plain(
                    load_allow_listed(io.BytesIO(stream.read()), self._where(name), self.fix)
                )

    def _where(self, name: str) -> str:
        return f'{self.path}[{one_line(name)}]'

    def _header(self, archive: zipfile.ZipFile, name: str) -> tuple[Header, zipfile.ZipInfo]:
        info = self._members.get(name)
        if info is None:
            raise ForeignFileError(f'{self.path}: holds no array {name}; {self.fix}')
        if info.flag_bits & 1:
            raise ForeignFileError(
                f'{self._where(name)}: is encrypted; save the arrays anew without a password'
            )
        with archive.open(info) as stream:
            header = read_header(cast(BinaryIO, stream))
        if header.size is not None and header.size != info.file_size:
            raise ValueError(
                f'an array of {header.size} bytes is announced in a member of {info.file_size}'
            )
        return header, info

    @contextmanager
    def _reading(self, name: str) -> Iterator[zipfile.ZipFile]:
        with reading(self._where(name), self.fix), zipfile.ZipFile(self.path) as archive:
            yield archive


def refuse_bomb(info: zipfile.ZipInfo, source: str, fix: str = DOWNLOAD_AGAIN) -> None:
    """Refuse a zip member that unpacks to what no real data would.

    Raises:
        ForeignFileError: It does.
    """
    size, packed = info.file_size, max(info.compress_size, 1)
    if size > _ALWAYS_ALLOWED and size > _LARGEST_RATIO * packed:
        raise ForeignFileError(
            f'{source}: {packed} bytes would unpack to {size}, which no real data does; {fix}'
        )


def load_npy(path: str | os.PathLike, fix: str = DOWNLOAD_AGAIN) -> np.ndarray:
    """Array of a ``.npy`` file without pickles.

    Args:
        path: The file.
        fix: What to do about a damaged file, for the message.

    Raises:
        FileNotFoundError: No such file.
    """
    path = Path(path)
    kind = recognise(path)
    if kind != 'npy':
        raise ForeignFileError(
            f'{path}: expected a NumPy array (.npy), but the file {sentence(kind, path)}'
        )
    with reading(str(path), fix), path.open('rb') as stream:
        header = read_header(cast(BinaryIO, stream))
        if header.size is None:
            raise ValueError('it holds pickled objects')
        if header.size != path.stat().st_size:
            raise ValueError(f'{header.size} bytes are announced, {path.stat().st_size} are there')
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)


def _same_shape(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        b is None or a == b for a, b in zip(found, wanted, strict=True)
    )


def _shown(shape: tuple[int | None, ...]) -> str:
    return '(' + ', '.join('any' if n is None else str(n) for n in shape) + ')'
