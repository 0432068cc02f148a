# SPDX-License-Identifier: Apache-2.0
"""Opening data sets of very many rows, without images: only the index and the labels."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from data import INDEX_BYTES_PER_ROW, write_index
from workers import Commands, Contestant, race, resident_mb

from fastmetro_mm.datasets import MeshTSVDataset

_ACCESSES = 2000


class NoSpaceError(ValueError):
    """The sets do not fit on the disk."""


def open_set(commands: Commands, yaml_path: str) -> None:
    """Open a set; afterwards read rows of it in random order."""
    dataset = None
    for _ in commands:
        # dropped first: two open sets would count as the memory of one
        dataset = None
        dataset = MeshTSVDataset(yaml_path)
    commands.outputs['resident_mb'] = resident_mb() - commands.ready_mb
    commands.outputs['access_seconds'] = access_seconds(dataset)


def access_seconds(dataset: MeshTSVDataset) -> np.ndarray:
    """Seconds to read and parse each of 2,000 rows drawn at random."""
    picks = np.random.default_rng(0).integers(0, len(dataset), _ACCESSES)
    dataset.get_data_info(0)  # opens the files
    seconds = np.empty(_ACCESSES)
    for number, row in enumerate(picks):
        start = time.perf_counter()
        dataset.get_data_info(int(row))
        seconds[number] = time.perf_counter() - start
    return seconds


def measure_rows(rows: list[int], rounds: int, folder: Path | None) -> list[dict[str, Any]]:
    """Time and memory to open sets of each size, and the time of a row.

    Args:
        rows: Sizes.
        rounds: Times each set is opened.
        folder: Where to write the sets, for a while; the system's temporary folder if not given.

    Raises:
        NoSpaceError: If they would not fit there.
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        needed, free = INDEX_BYTES_PER_ROW * sum(rows), shutil.disk_usage(place).free
        if needed > free:
            raise NoSpaceError(
                f'{folder or tempfile.gettempdir()}: the sets need {needed / 1e9:.1f} GB but '
                f'{free / 1e9:.1f} GB are free: choose another --folder or fewer --rows'
            )
        paths = [write_index(Path(place) / str(count), count) for count in rows]
        disk = [sum(f.stat().st_size for f in path.parent.iterdir()) for path in paths]
        contestants = {
            str(count): Contestant('scaling_rows:open_set', dict(yaml_path=str(path)))
            for count, path in zip(rows, paths, strict=True)
        }
        timings = race(contestants, rounds, threads=1)
    return [
        dict(
            rows=count,
            disk_mb=size / 1e6,
            open_seconds=timing.median,
            resident_mb=timing.outputs['resident_mb'],
            opening_mb=timing.work_mb,
            access_us=1e6 * float(np.median(timing.outputs['access_seconds'])),
            access_us_99=1e6 * float(np.percentile(timing.outputs['access_seconds'], 99)),
        )
        for count, size, timing in zip(rows, disk, timings.values(), strict=True)
    ]
