# SPDX-License-Identifier: Apache-2.0
"""A composite set: several converted sets read as one, in given proportions.

Nothing is copied: the yaml lists the files of the sources and the linelist names
``source<TAB>row``, the official composite form (FastMETRO ``src/utils/tsv_file.py``). Rows that a
source's own linelist leaves out are left out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from fastmetro_mm.datasets.mesh_dataset import MeshTSVDataset
from fastmetro_mm.datasets.set_files import SetFolder
from fastmetro_mm.datasets.set_yaml import SetYaml
from fastmetro_mm.datasets.tsv_writer import write_lines
from fastmetro_mm.errors import ConfigError, DataSetError

PARTS = ('img', 'hw', 'label')


@dataclass
class MixReport:
    """Outcome of `write_mixed_set`."""

    yaml_path: Path  # the composite set
    counts: list[int]  # rows of an epoch, per source
    available: list[int]  # different rows, per source
    checksum: str  # SHA-256 of the linelist


def rows_per_source(
    available: Sequence[int], ratios: Sequence[float] | None, total: int | None
) -> list[int]:
    """How many rows of an epoch come from each source.

    Args:
        available: Rows that each source has.
        ratios: Share of each source in an epoch (any unit); without, every row once.
        total: Rows of an epoch; by default as many as no source has to be repeated for.

    Raises:
        DataSetError: As many ratios as sources are needed, none negative, not all 0.
    """
    if ratios is None:
        ratios = available
    if len(ratios) != len(available) or min(ratios) < 0 or not 0 < sum(ratios) < float('inf'):
        raise DataSetError(
            f'{len(available)} sources need as many ratios, none negative and not '
            f'all 0: got {list(ratios)}'
        )
    shares = np.asarray(ratios, np.float64) / sum(ratios)
    if total is None:
        total = int(min(n / s for n, s in zip(available, shares, strict=True) if s > 0) + 1e-9)
    counts = np.floor(shares * total + 1e-9).astype(int)
    rest = shares * total - counts
    for place in np.argsort(-rest, kind='stable')[: total - int(counts.sum())]:
        counts[place] += 1
    return counts.tolist()


def draw_rows(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the rows, as evenly as can be: whole passes, then a random rest, sorted."""
    passes, rest = divmod(count, len(rows)) if count else (0, 0)
    return np.sort(np.concatenate([np.tile(rows, passes), rng.permutation(rows)[:rest]]))


def write_mixed_set(
    sources: Sequence[str | Path],
    out: str | Path,
    split: str = 'train',
    ratios: Sequence[float] | None = None,
    total: int | None = None,
    seed: int = 0,
) -> MixReport:
    """Write the yaml and linelist of a composite set.

    Args:
        sources: Yaml files of simple sets, each with img, hw and label.
        out: Folder of the new set.
        split: First part of the file names.
        ratios: See `rows_per_source`.
        total: See `rows_per_source`.
        seed: Which rows of a source are taken where not all are.

    Raises:
        FileNotFoundError: A source is missing.
    """
    if total is not None and total < 1:
        raise ConfigError(f'rows is {total}, expected 1 or more')
    target = SetFolder(out, split)
    if target.path('img').exists():
        raise DataSetError(
            f'{out} holds a set {split} with rows of its own: take another folder or another split'
        )
    place = target.folder.resolve()
    files: dict[str, list[str]] = {part: [] for part in PARTS}
    rows = []
    for source in map(Path, sources):
        dataset = MeshTSVDataset(str(source))  # checks that the parts fit together
        target.refuse_source(dataset.source_files())
        if SetYaml(source).composite:
            raise DataSetError(f'{source} is composite itself: mix the sets it is made of')
        paths = dataset.part_files()
        for part in PARTS:
            if part not in paths:
                raise DataSetError(f'{source} has no {part} file: a composite set needs all three')
            [path] = paths[part]
            # Links to folders are resolved: ".." behind a link leads elsewhere.
            files[part].append(os.path.relpath(path.parent.resolve() / path.name, place))
        rows.append(dataset.source_rows())
    counts = rows_per_source([len(r) for r in rows], ratios, total)
    rng = np.random.default_rng(seed)
    drawn = [draw_rows(own, count, rng) for own, count in zip(rows, counts, strict=True)]
    lines = [
        b'%d\t%d\n' % (number, row) for number, own in enumerate(drawn) for row in own.tolist()
    ]
    if not lines:
        raise DataSetError('the mixed set would be empty: give more rows with --rows')
    linelist = target.path('linelist').name
    content = {'composite': True, **files, 'linelist': linelist}
    with target.hold(), target.stage() as staging:
        write_lines(staging / linelist, lines)
        (staging / target.yaml_path.name).write_text(yaml.safe_dump(content, sort_keys=False))
    return MixReport(
        target.yaml_path,
        counts,
        [len(r) for r in rows],
        hashlib.sha256(b''.join(lines)).hexdigest(),
    )
