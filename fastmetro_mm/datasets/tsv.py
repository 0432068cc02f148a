# SPDX-License-Identifier: Apache-2.0
"""Readers for the TSV files of METRO and FastMETRO: one file, or several read as one.

The layout is described in the FastMETRO sources (``src/utils/tsv_file.py``). Rows are found by
byte offsets, which the ``.lineidx`` file beside the ``.tsv`` holds as text, one per line.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from fastmetro_mm.errors import (
    ConfigError,
    DataRowError,
    DataSetError,
    InputError,
    MissingFileError,
    StaleIndexError,
)
from fastmetro_mm.fileio import write_atomically

_SCAN_CHUNK = 1 << 24
_NUM_PROBES = 32
_WHOLE_NUMBER = re.compile(rb'-?\d{1,18}')


def lineidx_path(tsv_path: str | Path) -> Path:
    """Path of the offset file that belongs to a TSV file (``a.img.tsv`` -> ``a.img.lineidx``)."""
    return Path(os.path.splitext(tsv_path)[0] + '.lineidx')


def scan_line_offsets(path: str | Path) -> np.ndarray:
    """Find where each line of a file starts.

    Args:
        path: Any file with lines ended by a newline; the last line may lack it.

    Returns:
        int64 array (N,) of byte offsets.
    """
    starts, position = [np.zeros(1, np.int64)], 0
    with open(path, 'rb') as file:
        while chunk := file.read(_SCAN_CHUNK):
            newlines = np.flatnonzero(np.frombuffer(chunk, np.uint8) == 10)
            starts.append(newlines.astype(np.int64) + (position + 1))
            position += len(chunk)
    offsets = np.concatenate(starts)
    return offsets[:-1] if offsets[-1] == position else offsets


def read_int_table(path: str | Path, columns: int) -> np.ndarray:
    """Read a text file of whole numbers with a fixed number of columns (a linelist).

    Args:
        path: Text file, columns separated by tabs or blanks.
        columns: 1 for the linelist of a simple set, 2 (source, row) for a composite one.

    Returns:
        int64 array (N, columns).

    Raises:
        FileNotFoundError: The file does not exist.
        DataSetError: A line holds something else; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'linelist {path} not found: restore it or correct the yaml')
    text = path.read_bytes().removeprefix(b'\xef\xbb\xbf')
    num_lines = text.count(b'\n') + (not text.endswith(b'\n') and len(text) > 0)
    with warnings.catch_warnings():
        warnings.simplefilter('error', DeprecationWarning)  # unparsed rest of the text
        try:
            values = np.fromstring(text, dtype=np.int64, sep=' ') if text.strip() else np.empty(0)
        except (DeprecationWarning, ValueError):
            values = None
    if values is not None and values.size == num_lines * columns:
        return values.astype(np.int64).reshape(-1, columns)
    rows = []
    for number, line in enumerate(text.splitlines(), 1):  # slow: blank lines, or find the error
        parts = line.split()
        if not parts:
            continue
        if len(parts) != columns or not all(map(_WHOLE_NUMBER.fullmatch, parts)):
            raise DataSetError(
                f'{path} line {number}: expected {columns} whole number(s), got '
                f'{line[:40].decode("utf-8", "replace")!r}; a simple set has one row number per '
                'line, a composite one (composite: true in the yaml) "source<TAB>row"'
            )
        rows.append([int(p) for p in parts])
    return np.array(rows, np.int64).reshape(-1, columns)


_BLANKS = b' \t\n\r\x0b\x0c'


def _columns(line: bytes, start: int) -> list[bytes]:
    """Columns of a line from a place on, stripped of blanks; an image is copied only once."""
    columns = []
    while start >= 0:
        tab = line.find(b'\t', start)
        end = len(line) if tab < 0 else tab
        while start < end and line[start] in _BLANKS:
            start += 1
        while end > start and line[end - 1] in _BLANKS:
            end -= 1
        columns.append(line[start:end])
        start = tab + 1 if tab >= 0 else -1
    return columns


class TSVFile:
    """Rows of one TSV file by number.

    Reads are positioned reads (``pread``) on a handle that is opened again in every process, so
    objects may cross forks, pickling and threads. The offsets are one int64 array made before
    workers start, which forked workers share.

    A missing ``.lineidx`` is made, written beside the file where that is allowed and kept in
    memory where it is not.

    Args:
        path: The ``.tsv`` file.
        on_stale: What to do when the ``.lineidx`` does not belong to the file: ``'rebuild'``
            (with a warning) or ``'raise'``.

    Raises:
        FileNotFoundError: The file does not exist.
        StaleIndexError: With ``on_stale='raise'``, and for any row read through offsets that
            turn out wrong.
    """

    def __init__(self, path: str | Path, on_stale: str = 'rebuild') -> None:
        if on_stale not in ('rebuild', 'raise'):
            raise ConfigError(f"on_stale must be 'rebuild' or 'raise', got {on_stale!r}")
        self.path = Path(path)
        if not self.path.is_file():
            raise MissingFileError(
                f'TSV file {self.path} not found: restore it or correct the path in the yaml'
            )
        self._fd: int | None = None
        self._pid: int | None = None
        self.size = self.path.stat().st_size
        self.offsets = self._load_offsets(on_stale)
        self.offsets.setflags(write=False)

    def _load_offsets(self, on_stale: str) -> np.ndarray:
        index_file = lineidx_path(self.path)
        if index_file.is_file():
            try:
                offsets = read_int_table(index_file, 1)[:, 0]
                problem = self._find_index_problem(offsets)
                if problem is None:
                    return offsets
            except DataSetError:
                problem = 'it does not hold one whole number per line'
            if on_stale == 'raise':
                raise StaleIndexError(
                    f'{index_file} does not belong to {self.path} ({problem}): '
                    'delete it, it is then made again'
                )
            print_log(
                f'{index_file} does not belong to {self.path} ({problem}): making it again',
                'current',
                level=logging.WARNING,
            )
        offsets = scan_line_offsets(self.path)
        try:
            write_atomically(index_file, b''.join(b'%d\n' % o for o in offsets.tolist()))
        except (OSError, InputError):
            pass  # a read-only folder or a linked file: the array in memory serves as well
        return offsets

    def _find_index_problem(self, offsets: np.ndarray) -> str | None:
        """Compare offsets with the file without reading all of it; None if they fit."""
        if len(offsets) == 0:
            return None if self.size == 0 else 'it is empty, the file is not'
        if offsets[0] != 0 or np.any(np.diff(offsets) <= 0):
            return 'offsets do not rise from 0'
        if offsets[-1] >= self.size:
            return f'offset {offsets[-1]} lies behind the end of the file, {self.size} bytes'
        if b'\n' in self._pread(int(offsets[-1]), self.size)[:-1]:
            return 'the file has more lines'
        picks = np.unique(np.linspace(0, len(offsets) - 1, _NUM_PROBES).astype(np.int64))
        for row in picks[picks > 0]:
            if self._pread(int(offsets[row]) - 1, int(offsets[row])) != b'\n':
                return f'offset {offsets[row]} of row {row} is not the start of a line'
        return None

    def _pread(self, start: int, stop: int) -> bytes:
        if self._fd is None or self._pid != os.getpid():
            # A handle inherited through fork belongs to the parent; it is left alone.
            self._fd, self._pid = os.open(self.path, os.O_RDONLY), os.getpid()
        parts = []
        while start < stop:
            part = os.pread(self._fd, stop - start, start)
            if not part:
                break
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b''.join(parts)

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_fd': None, '_pid': None}

    def __del__(self) -> None:
        handle = getattr(self, '_fd', None)
        if handle is not None and self._pid == os.getpid():
            os.close(handle)

    def __len__(self) -> int:
        return len(self.offsets)

    def row(self, index: int) -> list[bytes]:
        """Columns of one row, stripped of blanks.

        Raises:
            DataRowError: No such row.
            DataSetError: The file was cut or changed while it was in use.
            StaleIndexError: The offsets do not belong to the file.
        """
        if not 0 <= index < len(self.offsets):
            raise DataRowError(f'no such row, the file has {len(self.offsets)}')
        start = int(self.offsets[index])
        stop = int(self.offsets[index + 1]) if index + 1 < len(self.offsets) else self.size
        line = self._pread(max(start - 1, 0), stop)  # with the newline before, to check it
        first = min(start, 1)
        cut = len(line) - first < stop - start or (
            index + 1 < len(self.offsets) and not line.endswith(b'\n')
        )
        joined = cut or line.find(b'\n', first, len(line) - 1) >= 0
        if joined or line[:first] != b'\n'[:first]:
            assert self._fd is not None  # `_pread` opened it
            now = os.fstat(self._fd).st_size
            if now != self.size:
                raise DataSetError(
                    f'{self.path} was changed while it was in use ({self.size} bytes, now {now}): '
                    'restore the file, then start again (a training: with --resume)'
                )
            raise StaleIndexError(
                f'{lineidx_path(self.path)} does not belong to {self.path} (row {index} is not '
                'one whole line): delete it, it is then made again'
            )
        return _columns(line, first)

    def where(self, index: int) -> str:
        """File and row as text, for messages."""
        return f'{self.path} row {index}'


class CompositeTSV:
    """Rows picked from several TSV files, as the linelist of a composite set says.

    Args:
        sources: The files.
        picks: int64 (N, 2): number of the source and of the row in it.
        name: File that the picks come from, for messages.

    Raises:
        DataSetError: A pick lies outside of the sources.
    """

    def __init__(
        self, sources: Sequence[TSVFile], picks: np.ndarray, name: str | Path = 'linelist'
    ) -> None:
        self.sources = list(sources)
        self.picks = picks
        limits = np.array([len(source) for source in self.sources], np.int64)
        bad = (picks[:, 0] < 0) | (picks[:, 0] >= len(limits)) | (picks[:, 1] < 0)
        bad[~bad] = picks[~bad, 1] >= limits[picks[~bad, 0]]
        if bad.any():
            line = int(np.flatnonzero(bad)[0])
            raise DataSetError(
                f'{name} line {line + 1}: source {picks[line, 0]} row {picks[line, 1]} does not '
                f'exist; the sources have {limits.tolist()} rows: use the linelist that belongs '
                'to these files'
            )

    def __len__(self) -> int:
        return len(self.picks)

    def row(self, index: int) -> list[bytes]:
        """Columns of one row; see `TSVFile.row`."""
        source, row = self.picks[index]
        return self.sources[source].row(int(row))

    def where(self, index: int) -> str:
        """File and row as text, for messages."""
        source, row = self.picks[index]
        return self.sources[source].where(int(row))
