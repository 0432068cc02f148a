# SPDX-License-Identifier: Apache-2.0
"""Read pickles without running them: every name is looked up in a fixed table first."""

import os
import pickle
from collections.abc import Mapping
from typing import Any, BinaryIO

from fastmetro_mm.errors import ForeignFileError, UnsafePickleError
from fastmetro_mm.foreign_files.damage import DOWNLOAD_AGAIN, one_line, reading
from fastmetro_mm.foreign_files.kinds import recognise, sentence
from fastmetro_mm.foreign_files.pickle_sizes import check_sizes
from fastmetro_mm.foreign_files.records import ARRAY_NAMES, deep_plain, plain


class AllowListUnpickler(pickle.Unpickler):
    """Unpickler that knows the names of a table and refuses all others.

    Args:
        stream: Binary stream at the start of the pickle.
        source: Name of the file (and member) for messages.
        names: Stand-ins by module and name.
    """

    def __init__(
        self, stream: BinaryIO, source: str, names: Mapping[tuple[str, str], Any] = ARRAY_NAMES
    ) -> None:
        # Python 2's texts: latin1 takes every byte, and its arrays are read as such texts
        super().__init__(stream, encoding='latin1')
        self._source, self._names = source, names

        self._stream = stream

    def load(self) -> Any:
        """The content, after a look at what the pickle would make Python allocate.

        Raises:
            ValueError: Its memo or a text in it is larger than the pickle itself.
        """
        check_sizes(self._stream)
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a name, which is never imported."""
        try:
            return self._names[module, name]
        except KeyError:
            return self.unknown(module, name)

    def unknown(self, module: str, name: str) -> Any:
        """What to do about a name that is not in the table: refuse."""
        raise UnsafePickleError(
            f'{self._source}: refused, the pickle asks for {one_line(module)}.{one_line(name)}, '
            'which no file of arrays needs; nothing was run. Use the file from the official '
            'download page, or an .npz with the same arrays'
        )


def load_allow_listed(stream: BinaryIO, source: str, fix: str = DOWNLOAD_AGAIN) -> Any:
    """Read one pickle of arrays with inert records in place of foreign objects.

    Args:
        stream: Binary stream at the start of the pickle.
        source: Name of the file (and member) for messages.
        fix: What to do about a damaged one.

    Returns:
        The unpickled value; records in it become arrays through :func:`build_plain` or
        ``records.deep_plain``.

    Raises:
        UnsafePickleError: The pickle names something that is not on the list.
        ForeignFileError: The pickle is damaged or truncated.
    """
    with reading(source, fix, 'damaged or truncated pickle'):
        return AllowListUnpickler(stream, source).load()


def build_plain(value: Any, source: str) -> Any:
    """``records.plain`` with one clear error for records whose content makes no sense.

    Raises:
        ForeignFileError: They make none.
    """
    with reading(source, DOWNLOAD_AGAIN, 'cannot be read as an array'):
        return plain(value)


def open_pickle(path: str | os.PathLike, fix: str = DOWNLOAD_AGAIN) -> Any:
    """Content of a pickle file of arrays and builtin values, its records not yet built.

    Args:
        path: The file.
        fix: What to do about a damaged one.

    Raises:
        FileNotFoundError: No such file.
        UnsafePickleError: The pickle names something that is not on the list.
    """
    kind = recognise(path)
    # the oldest pickles begin like a text, or like nothing that is known
    if kind not in ('pickle', 'text', 'unknown'):
        raise ForeignFileError(
            f'{path}: expected a pickle (.pkl), but the file {sentence(kind, path)}'
        )
    with open(path, 'rb') as stream:
        return load_allow_listed(stream, str(path), fix)


def read_pickle(path: str | os.PathLike, fix: str = DOWNLOAD_AGAIN) -> Any:
    """:func:`open_pickle` with all records turned into arrays."""
    value = open_pickle(path, fix)
    with reading(str(path), fix, 'damaged pickle'):
        return deep_plain(value)
