# SPDX-License-Identifier: Apache-2.0
"""Drives one conversion: shards, worker processes, resuming, a report."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import torch

from fastmetro_mm.datasets.tsv_writer import TSVRow, TSVSetWriter
from fastmetro_mm.errors import DataSetError

_SHARD_ROWS = 500
_HASH_CHUNK = 1 << 22


class SkipRow(ValueError):
    """A row of the source that cannot be converted, with the reason."""


class RowSource(Protocol):
    """What a converter offers: rows by number. Must be picklable for worker processes.

    ``row`` raises `SkipRow` (or ValueError) for a row that is to be left out and counted.
    ``describe`` tells one job from another when a conversion goes on. An optional attribute
    ``note`` is one line about the labels for the user.
    """

    def __len__(self) -> int: ...

    def key(self, index: int) -> str:
        """Name of one row, for messages."""

    def row(self, index: int) -> TSVRow:
        """One row."""

    def describe(self) -> dict:
        """Arguments that the rows depend on."""


@dataclass
class ConversionReport:
    """Outcome of a conversion.

    Attributes:
        yaml_path: The new set.
        num_rows: Rows written.
        num_skipped: Rows left out; listed in ``<split>.skipped.tsv``.
        reasons: How often each reason for leaving out occurred.
        checksum: SHA-256 over the files of the set.
    """

    yaml_path: Path
    num_rows: int
    num_skipped: int
    reasons: dict[str, int] = field(default_factory=dict)
    checksum: str = ''


_worker_state: tuple[RowSource, TSVSetWriter] | None = None


def _start_worker(source: RowSource, writer: TSVSetWriter) -> None:
    """Keep the source in the worker: sent once, not with every shard."""
    global _worker_state
    _worker_state = (source, writer)
    torch.set_num_threads(1)  # one process a core already
    cv2.setNumThreads(0)


def _convert_in_worker(number: int, start: int, stop: int) -> int:
    return _convert_shard(*_worker_state, number, start, stop)


def _convert_shard(source: RowSource, writer: TSVSetWriter, number: int, start: int,
                   stop: int) -> int:
    with writer.shard(number) as shard:
        for index in range(start, stop):
            try:
                shard.add(source.row(index))
            except ValueError as error:
                shard.skip(source.key(index), str(error))
    return stop - start


def _checksum(yaml_path: Path) -> str:
    digest = hashlib.sha256()
    for part in ('img', 'hw', 'label', 'linelist'):
        with open(yaml_path.with_name(f'{yaml_path.stem}.{part}.tsv'), 'rb') as file:
            while chunk := file.read(_HASH_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def run_conversion(source: RowSource, out: str | Path, split: str, limit: int | None = None,
                   workers: int = 1,
                   progress: Callable[[int, int], None] | None = None) -> ConversionReport:
    """Convert all rows of a source. An interrupted conversion goes on where it stopped.

    Args:
        source: The rows.
        out: Folder of the new set.
        split: First part of the file names.
        limit: Convert at most this many rows.
        workers: Number of processes.
        progress: Called with (rows done, rows in all).

    Raises:
        ValueError: Unfinished shards of another conversion lie in `out`.
        DataSetError: Not a single row could be converted.
    """
    total = len(source) if limit is None else min(limit, len(source))
    starts = range(0, total, _SHARD_ROWS)
    fingerprint = json.dumps({**source.describe(), 'rows': total}, sort_keys=True)
    writer = TSVSetWriter(out, split, fingerprint)
    jobs = [(number, start, min(start + _SHARD_ROWS, total))
            for number, start in enumerate(starts) if not writer.has_shard(number)]
    done = total - sum(stop - start for _, start, stop in jobs)
    if workers <= 1:
        for job in jobs:
            done += _convert_shard(source, writer, *job)
            if progress:
                progress(done, total)
    else:
        with ProcessPoolExecutor(workers, initializer=_start_worker,
                                 initargs=(source, writer)) as pool:
            futures = [pool.submit(_convert_in_worker, *job) for job in jobs]
            for future in as_completed(futures):
                done += future.result()
                if progress:
                    progress(done, total)
    yaml_path = writer.close(len(starts))
    skipped_path = yaml_path.with_name(f'{split}.skipped.tsv')
    lines = skipped_path.read_text().splitlines() if skipped_path.is_file() else []
    reasons = Counter(line.split('\t')[1] for line in lines)
    if total == len(lines):
        raise DataSetError(f'{out}: none of {total} rows could be converted'
                           + (f'; most often: {reasons.most_common(1)[0][0]}' if lines else ''))
    return ConversionReport(yaml_path, total - len(lines), len(lines), dict(reasons),
                            _checksum(yaml_path))
