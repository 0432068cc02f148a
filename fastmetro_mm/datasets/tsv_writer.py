# SPDX-License-Identifier: Apache-2.0
"""Writing data sets in the TSV layout, whole or in shards from several processes.

A shard is a set of part files that appears under its final name only when complete, so an
interrupted run goes on with the shards that are missing. `TSVSetWriter.close` joins the shards;
the yaml is written last: where it exists, the set is whole.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.datasets.tsv import lineidx_path
from fastmetro_mm.errors import DataSetError
from fastmetro_mm.fileio import write_atomically

_PARTS = ('img', 'hw', 'label')
_SKIPPED = 'skipped'


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
        """(height, width) px, decoded where not given.

        Raises:
            ValueError: The image cannot be decoded.
        """
        if self.size is None:
            decoded = cv2.imdecode(np.frombuffer(self.image, np.uint8), cv2.IMREAD_COLOR)
            if decoded is None:
                raise DataSetError(f'row {self.key}: the image cannot be decoded')
            self.size = decoded.shape[:2]
        return self.size


def _columns(row: TSVRow) -> dict[str, bytes]:
    """The three lines of a row, with their newlines."""
    if not row.key or any(c in row.key for c in '\t\r\n'):
        raise DataSetError(f'row key {row.key!r} is empty or holds a tab or newline: rename it')
    size = row.image_size()
    try:
        label = json.dumps([] if row.label is None else [row.label], allow_nan=False)
    except ValueError:
        raise DataSetError(f'row {row.key}: the label holds a value that is not finite') from None
    key = row.key.encode()
    hw = json.dumps([{'height': int(size[0]), 'width': int(size[1])}])
    return {
        'img': key + b'\t' + base64.b64encode(row.image) + b'\n',
        'hw': key + b'\t' + hw.encode() + b'\n',
        'label': key + b'\t' + label.encode() + b'\n',
    }


class TSVShardWriter:
    """Writes the rows of one shard; use as a context manager.

    Leaving the block without an error publishes the shard; an error leaves nothing behind.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._final = folder / name
        self._temporary = folder / f'.{name}.{os.getpid()}.tmp'
        self._files: dict = {}
        self.num_rows = 0

    def __enter__(self) -> TSVShardWriter:
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._files = {part: open(self._temporary / part, 'wb') for part in (*_PARTS, _SKIPPED)}
        return self

    def add(self, row: TSVRow) -> None:
        """Append one row.

        Raises:
            ValueError: A key with a tab, an image that cannot be decoded, a label not finite.
        """
        for part, line in _columns(row).items():
            self._files[part].write(line)
        self.num_rows += 1

    def skip(self, key: str, reason: str) -> None:
        """Note that a row was left out, for the ``skipped.tsv`` of the set."""
        line = ' '.join(key.split()) + '\t' + ' '.join(reason.split()) + '\n'
        self._files[_SKIPPED].write(line.encode())

    def __exit__(self, error_type, error, trace) -> None:
        for file in self._files.values():
            file.close()
        if error_type is None:
            shutil.rmtree(self._final, ignore_errors=True)
            os.replace(self._temporary, self._final)
        else:
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
        ValueError: Shards of another job lie in the folder.

    Example:
        >>> writer = TSVSetWriter('data/mine', 'train')
        >>> if not writer.has_shard(0):
        ...     with writer.shard(0) as shard:
        ...         shard.add(TSVRow('0.jpg', jpeg_bytes, make_label(center, scale)))
        >>> yaml_file = writer.close(num_shards=1)
    """

    def __init__(self, folder: str | Path, split: str, fingerprint: str = '') -> None:
        self.folder = Path(folder)
        self.split = split
        self._fingerprint = fingerprint
        self._shards = self.folder / f'.{split}.shards'
        about = self._shards / 'about'
        if about.is_file() and about.read_text() != fingerprint:
            raise DataSetError(f'{self._shards} holds unfinished shards made with other arguments '
                             f'({about.read_text()}): delete that folder to start again')

    @property
    def yaml_path(self) -> Path:
        """The yaml of the set; it exists once the set is complete."""
        return self.folder / f'{self.split}.yaml'

    def shard(self, number: int) -> TSVShardWriter:
        """Writer of one shard; replaces an earlier shard of that number."""
        if not (self._shards / 'about').is_file():
            self._shards.mkdir(parents=True, exist_ok=True)
            write_atomically(self._shards / 'about', self._fingerprint.encode())
        return TSVShardWriter(self._shards, f'{number:06d}')

    def has_shard(self, number: int) -> bool:
        """Whether the shard was written completely, now or in an earlier run."""
        return (self._shards / f'{number:06d}').is_dir()

    def close(self, num_shards: int) -> Path:
        """Join shards 0 to ``num_shards - 1`` in that order and remove them.

        Returns:
            Path of the yaml.

        Raises:
            ValueError: A shard is missing.
        """
        missing = [n for n in range(num_shards) if not self.has_shard(n)]
        if missing:
            raise DataSetError(f'{self.folder}: {len(missing)} of {num_shards} shards of '
                             f'{self.split} are missing (first {missing[0]}): write them first')
        self.yaml_path.unlink(missing_ok=True)
        labelled = []
        for part in _PARTS:
            offsets = self._join(part, num_shards, labelled if part == 'label' else None)
            write_atomically(lineidx_path(self._tsv(part)), offsets)
        self._write_lines('linelist', [b'%d\n' % row for row in labelled])
        self._join_skipped(num_shards)
        write_atomically(self.yaml_path, ''.join(
            f'{part}: {self._tsv(part).name}\n' for part in (*_PARTS, 'linelist')).encode())
        shutil.rmtree(self._shards)
        return self.yaml_path

    def _tsv(self, part: str) -> Path:
        return self.folder / f'{self.split}.{part}.tsv'

    def _join(self, part: str, num_shards: int, labelled: list[int] | None) -> bytes:
        """Concatenate one part of all shards; gives the lineidx text, fills `labelled`."""
        target = self._tsv(part)
        temporary = target.with_name(f'.{target.name}.{os.getpid()}.tmp')
        offsets, position = [], 0
        with open(temporary, 'wb') as out:
            for number in range(num_shards):
                with open(self._shards / f'{number:06d}' / part, 'rb') as shard:
                    for line in shard:
                        if labelled is not None and not line.endswith(b'\t[]\n'):
                            labelled.append(len(offsets))
                        offsets.append(b'%d\n' % position)
                        out.write(line)
                        position += len(line)
        lineidx_path(target).unlink(missing_ok=True)  # never a new file beside old offsets
        os.replace(temporary, target)
        return b''.join(offsets)

    def _join_skipped(self, num_shards: int) -> None:
        text = b''.join((self._shards / f'{number:06d}' / _SKIPPED).read_bytes()
                        for number in range(num_shards))
        self._tsv(_SKIPPED).unlink(missing_ok=True)
        if text:
            write_atomically(self._tsv(_SKIPPED), text)

    def _write_lines(self, part: str, lines: list[bytes]) -> None:
        offsets = np.cumsum([0, *map(len, lines)])[:-1]
        write_atomically(self._tsv(part), b''.join(lines))
        write_atomically(lineidx_path(self._tsv(part)), b''.join(b'%d\n' % o for o in offsets))


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
    with writer.shard(0) as shard:
        for row in rows:
            shard.add(row)
    return writer.close(num_shards=1)
