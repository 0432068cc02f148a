# SPDX-License-Identifier: Apache-2.0
"""Writing data sets in the TSV layout, whole or in shards from several processes.

A shard is a set of part files that appears under its final name only when complete, so an
interrupted run goes on with the shards that are missing. `TSVSetWriter.close` joins the shards
beside the final names; an older set is replaced only by a whole new one (see `set_files`).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from fastmetro_mm.datasets.set_files import SetFolder
from fastmetro_mm.datasets.transforms.loading import decode_image
from fastmetro_mm.datasets.tsv import lineidx_path
from fastmetro_mm.errors import DataRowError, DataSetError, InputError
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.images.decoding import decode_whole
from fastmetro_mm.images.formats import kind_of

_PARTS = ('img', 'hw', 'label')
_SKIPPED = 'skipped'
_NOTE = 'note'


@dataclass
class TSVRow:
    """One person in one image.

    Attributes:
        key: Name of the image, without tabs or newlines.
        image: Encoded image (JPEG or PNG bytes).
        label: Label object (see `labels.make_label`), or None for an image without label.
        size: (height, width) px of the image; decoded from `image` where None.
    """

    key: str
    image: bytes
    label: dict | None = None
    size: tuple[int, int] | None = None

    def image_size(self) -> tuple[int, int]:
        """(height, width) px of the upright image, decoded where not given.

        Raises:
            DataRowError: The image is damaged, or the data set would not read it as it is seen.
        """
        if self.size is None:
            try:
                self.size = _size_of(self.image)
            except ValueError as error:
                raise DataRowError(f'row {self.key}: {error}') from None
        return self.size


def _size_of(data: bytes) -> tuple[int, int]:
    if kind_of(data[:400]) == 'heif':
        raise DataRowError('HEIC is not read in training: save it as .jpg')
    try:
        width, height = decode_whole(data).size
    except InputError:
        decode_image(data)  # has its own words for what is no image at all
        raise
    # JPEGs are turned alike by both decoders; of others the one of the data set may know less.
    size = (height, width)
    if kind_of(data[:400]) != 'jpeg' and decode_image(data).shape[:2] != size:
        raise DataRowError('the image is turned by its metadata: save it as .jpg')
    return size


def _columns(row: TSVRow) -> dict[str, bytes]:
    """The three lines of a row, with their newlines."""
    if not row.key or any(c in row.key for c in '\t\r\n'):
        raise DataRowError(f'row key {row.key!r} is empty or holds a tab or newline: rename it')
    try:
        key = row.key.encode()
    except UnicodeEncodeError:
        raise DataRowError(f'row key {row.key!r} is not UTF-8 text: rename it') from None
    size = row.image_size()
    try:
        label = json.dumps([] if row.label is None else [row.label], allow_nan=False)
    except ValueError:
        raise DataRowError(f'row {row.key}: the label holds a value that is not finite') from None
    hw = json.dumps([{'height': int(size[0]), 'width': int(size[1])}])
    return {
        'img': key + b'\t' + base64.b64encode(row.image) + b'\n',
        'hw': key + b'\t' + hw.encode() + b'\n',
        'label': key + b'\t' + label.encode() + b'\n',
    }


@contextmanager
def _named(path: Path):
    """Let errors of a full or failing disk name the folder of the set."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


class TSVShardWriter:
    """Writes the rows of one shard; use as a context manager.

    Leaving the block without an error publishes the shard; an error leaves nothing behind.
    """

    def __init__(self, folder: Path, name: str, note: str = '') -> None:
        self._final = folder / name
        self._temporary = folder / f'.{name}.{os.getpid()}.tmp'
        self._note = note
        self._files: dict = {}
        self._open = ExitStack()
        self.num_rows = 0

    def __enter__(self) -> TSVShardWriter:
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._files = {
            part: self._open.enter_context(open(self._temporary / part, 'wb'))
            for part in (*_PARTS, _SKIPPED)
        }
        return self

    def add(self, row: TSVRow) -> None:
        """Append one row.

        Raises:
            DataRowError: A key with a tab, an image that cannot be decoded, a label not finite.
        """
        with _named(self._final.parent.parent):
            for part, line in _columns(row).items():
                self._files[part].write(line)
        self.num_rows += 1

    def skip(self, key: str, reason: str) -> None:
        """Note that a row was left out, for the ``skipped.tsv`` of the set."""
        line = ' '.join(key.split()) + '\t' + ' '.join(reason.split()) + '\n'
        self._files[_SKIPPED].write(line.encode(errors='backslashreplace'))

    def __exit__(self, error_type, error, trace) -> None:
        try:
            with _named(self._final.parent.parent):
                self._open.close()
                if error_type is None:
                    (self._temporary / _NOTE).write_text(self._note)
                    shutil.rmtree(self._final, ignore_errors=True)
                    os.replace(self._temporary, self._final)
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)


class TSVSetWriter:
    """Writes one TSV set (``img``, ``hw``, ``label``, ``linelist``, ``lineidx`` and yaml).

    Safe to construct with the same arguments in several processes, each writing shards of its
    own. Exactly one process calls `close` when all shards are there.

    Args:
        folder: Folder of the set, made where missing.
        split: First part of the file names, as ``train``.
        fingerprint: Text that tells one job from another; shards left by a job with another
            text are refused instead of joined with new ones.

    Raises:
        DataSetError: Shards of another job lie in the folder.
        ConfigError: `split` is no name for files.
        InputError: A final name belongs to a link, a folder or a device.

    Example:
        >>> writer = TSVSetWriter('data/mine', 'train')
        >>> if not writer.has_shard(0):
        ...     with writer.shard(0) as shard:
        ...         shard.add(TSVRow('0.jpg', jpeg_bytes, make_label(center, scale)))
        >>> yaml_file = writer.close(num_shards=1)
    """

    def __init__(self, folder: str | Path, split: str, fingerprint: str = '') -> None:
        self.files = SetFolder(folder, split)
        self.folder, self.split = self.files.folder, split
        self._fingerprint = fingerprint
        self._shards = self.files.shards
        about = self._shards / 'about'
        if about.is_file() and about.read_text() != fingerprint:
            raise DataSetError(
                f'{self._shards} holds unfinished shards made with other arguments '
                f'({about.read_text()}): delete that folder to start again'
            )

    @property
    def yaml_path(self) -> Path:
        """The yaml of the set; it exists once the set is complete."""
        return self.files.yaml_path

    def shard(self, number: int, note: str = '') -> TSVShardWriter:
        """Writer of one shard; replaces an earlier shard of that number.

        Args:
            number: Place of the shard in the set.
            note: Kept with the shard, for `shard_note`.
        """
        if not (self._shards / 'about').is_file():
            self._shards.mkdir(parents=True, exist_ok=True)
            write_atomically(self._shards / 'about', self._fingerprint.encode())
        return TSVShardWriter(self._shards, f'{number:06d}', note)

    def has_shard(self, number: int) -> bool:
        """Whether the shard was written completely, now or in an earlier run."""
        return (self._shards / f'{number:06d}').is_dir()

    def shard_note(self, number: int) -> str | None:
        """Note of a complete shard, None where there is no such shard."""
        path = self._shards / f'{number:06d}' / _NOTE
        return path.read_text() if path.is_file() else None

    def remove_unfinished(self) -> None:
        """Delete what killed workers left; no other process may be writing."""
        for path in self._shards.glob('.*.tmp'):
            shutil.rmtree(path, ignore_errors=True)
        if not any(self._shards.glob('[0-9]*')):
            self.discard()

    def discard(self) -> None:
        """Delete all shards; a finished set of that name stays."""
        shutil.rmtree(self._shards, ignore_errors=True)

    def skipped(self, num_shards: int) -> list[tuple[str, str]]:
        """Key and reason of every row left out of shards 0 to ``num_shards - 1``."""
        lines = self._skipped_text(num_shards).decode().splitlines()
        return [(key, reason) for key, reason in (line.split('\t', 1) for line in lines)]

    def _skipped_text(self, num_shards: int) -> bytes:
        return b''.join(
            (self._shards / f'{number:06d}' / _SKIPPED).read_bytes() for number in range(num_shards)
        )

    def close(self, num_shards: int) -> Path:
        """Join shards 0 to ``num_shards - 1`` in that order and remove them.

        Returns:
            Path of the yaml.

        Raises:
            DataSetError: A shard is missing, or there is not one row; an older set of that name
                stays as it was.
        """
        missing = [n for n in range(num_shards) if not self.has_shard(n)]
        if missing:
            raise DataSetError(
                f'{self.folder}: {len(missing)} of {num_shards} shards of '
                f'{self.split} are missing (first {missing[0]}): write them first'
            )
        with _named(self.folder), self.files.stage() as staging:
            labelled: list[int] = []
            for part in _PARTS:
                offsets = self._join(
                    staging, part, num_shards, labelled if part == 'label' else None
                )
                if not offsets:
                    raise DataSetError(f'{self.folder}: not one row for {self.split}')
                lineidx_path(staging / self._name(part)).write_bytes(b''.join(offsets))
            write_lines(staging / self._name('linelist'), [b'%d\n' % row for row in labelled])
            if skipped := self._skipped_text(num_shards):
                (staging / self._name(_SKIPPED)).write_bytes(skipped)
            content = {part: self._name(part) for part in (*_PARTS, 'linelist')}
            (staging / self.yaml_path.name).write_text(yaml.safe_dump(content, sort_keys=False))
        return self.yaml_path

    def _name(self, part: str) -> str:
        return self.files.path(part).name

    def _join(
        self, staging: Path, part: str, num_shards: int, labelled: list[int] | None
    ) -> list[bytes]:
        """Concatenate one part of all shards; gives the lines of lineidx, fills `labelled`."""
        offsets, position = [], 0
        with open(staging / self._name(part), 'wb') as out:
            for number in range(num_shards):
                with open(self._shards / f'{number:06d}' / part, 'rb') as shard:
                    for line in shard:
                        if labelled is not None and not line.endswith(b'\t[]\n'):
                            labelled.append(len(offsets))
                        offsets.append(b'%d\n' % position)
                        out.write(line)
                        position += len(line)
        return offsets


def write_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Write a small file of a set, and its lineidx."""
    offsets = np.cumsum([0, *map(len, lines)])[:-1]
    path.write_bytes(b''.join(lines))
    lineidx_path(path).write_bytes(b''.join(b'%d\n' % o for o in offsets))


def write_tsv_set(folder: str | Path, split: str, rows: Iterable[TSVRow]) -> Path:
    """Write a whole set from one process.

    Args:
        folder: Folder of the set.
        split: First part of the file names.
        rows: The rows, consumed one by one.

    Returns:
        Path of the yaml.
    """
    writer = TSVSetWriter(folder, split)
    with writer.files.hold():
        with writer.shard(0) as shard:
            for row in rows:
                shard.add(row)
        return writer.close(num_shards=1)
