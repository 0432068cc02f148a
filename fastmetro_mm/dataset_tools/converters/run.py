# SPDX-License-Identifier: Apache-2.0
"""Drives one conversion: shards, worker processes, resuming, a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from fastmetro_mm.dataset_tools.converters.resume import inputs_state, job_fingerprint, shard_note
from fastmetro_mm.dataset_tools.converters.rows import RowSource, SkipRow, row_inputs
from fastmetro_mm.datasets.set_files import SetFolder
from fastmetro_mm.datasets.tsv_writer import TSVSetWriter
from fastmetro_mm.datasets.worker_pool import run_jobs
from fastmetro_mm.errors import ConfigError, DataSetError
from fastmetro_mm.fileio import sha256_of

__all__ = ['ConversionReport', 'RowSource', 'SkipRow', 'run_conversion']

_SHARD_ROWS = 500


@dataclass
class ConversionReport:
    """Outcome of a conversion."""

    yaml_path: Path  # the new set
    num_rows: int  # rows written
    num_skipped: int  # rows left out; listed in ``<split>.skipped.tsv``
    # how often each reason for leaving out occurred
    reasons: dict[str, int] = field(default_factory=dict)
    checksum: str = ''  # SHA-256 over the files of the set


def _convert_shard(
    source: RowSource, writer: TSVSetWriter, inputs: str, job: tuple[int, int, int]
) -> int:
    number, start, stop = job
    with writer.shard(number, shard_note(source, inputs, start, stop)) as shard:
        for index in range(start, stop):
            try:
                shard.add(source.row(index))
            except (ValueError, MemoryError) as error:
                shard.skip(source.key(index), str(error) or 'not enough memory')
    return stop - start


def run_conversion(
    source: RowSource,
    out: str | Path,
    split: str,
    limit: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> ConversionReport:
    """Convert all rows of a source.

    An interrupted conversion goes on where it stopped; parts whose source files have changed
    since (size, time) are made again. A set of that name in `out` stays as it is until the new
    one is whole. The result does not depend on the number of workers.

    Args:
        source: The rows.
        out: Folder of the new set.
        split: First part of the file names.
        limit: Convert at most this many rows.
        workers: Number of processes.
        progress: Called with (rows done, rows in all).

    Raises:
        InputError: A file of the set would replace a link, a folder or a device.
        OSError: The disk is full or fails.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f'limit is {limit}, expected 1 or more')
    total = len(source) if limit is None else min(limit, len(source))
    if not total:
        raise DataSetError(f'the source has no rows, so {out} is left as it is: check its files')
    files = SetFolder(out, split)
    files.refuse_source(path for path in row_inputs(source) if path.exists())
    with files.hold():
        writer = TSVSetWriter(out, split, job_fingerprint(source, total))
        writer.remove_unfinished()
        try:
            num_shards = _convert(source, writer, total, workers, progress)
        finally:
            writer.remove_unfinished()
        skipped = writer.skipped(num_shards)
        reasons = Counter(reason for _, reason in skipped)
        if len(skipped) == total:
            writer.discard()
            raise DataSetError(
                f'none of {total} rows could be converted, {out} is left as it is; '
                f'most often: {reasons.most_common(1)[0][0]}'
            )
        yaml_path = writer.close(num_shards)
    checksum = sha256_of(files.path(part) for part in ('img', 'hw', 'label', 'linelist'))
    return ConversionReport(yaml_path, total - len(skipped), len(skipped), dict(reasons), checksum)


def _convert(
    source: RowSource,
    writer: TSVSetWriter,
    total: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Make the shards that are missing or no longer true; gives the number of all."""
    starts = range(0, total, _SHARD_ROWS)
    jobs = [(number, start, min(start + _SHARD_ROWS, total)) for number, start in enumerate(starts)]
    inputs = inputs_state(source)
    jobs = [
        job
        for job in jobs
        if not writer.has_shard(job[0])
        or writer.shard_note(job[0]) != shard_note(source, inputs, *job[1:])
    ]
    done = total - sum(stop - start for _, start, stop in jobs)
    with closing(run_jobs(_convert_shard, (source, writer, inputs), jobs, workers)) as results:
        for count in results:
            done += count
            if progress:
                progress(done, total)
    return len(starts)
