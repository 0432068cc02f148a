# SPDX-License-Identifier: Apache-2.0
"""Making a whole synthetic data set: resumable, in parallel, the same bytes every time."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path

from fastmetro_mm.datasets.set_files import SetFolder
from fastmetro_mm.datasets.tsv_writer import TSVSetWriter
from fastmetro_mm.datasets.worker_pool import run_jobs
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.fileio import sha256_of, writable_folder, write_atomically
from fastmetro_mm.synthetic.options import SyntheticSetOptions, read_recipe
from fastmetro_mm.synthetic.progress import Progress
from fastmetro_mm.synthetic.worker import SHARD_SIZE, ShardWriter

RECIPE_FILE = 'synthetic.json'
_SPLITS = ('train', 'test')
_FILES = tuple(
    f'{part}.{end}' for part in ('img', 'hw', 'label', 'linelist') for end in ('tsv', 'lineidx')
)


@dataclass(frozen=True)
class SetSummary:
    """What was made."""

    counts: dict[str, int]  # samples of every split
    yaml_files: dict[str, Path]  # the yaml of every split
    drawn: int  # samples drawn by this run; the others were there already
    num_bytes: int  # size of all files of the set
    seconds: float  # wall-clock time of this run
    checksum: str  # SHA-256 over all files of the set; equal sets have equal checksums


def _prepare_folder(folder: Path, recipe: dict, resume: bool) -> None:
    """Records the recipe; refuses to mix two sets."""
    record = folder / RECIPE_FILE
    if record.exists():
        if not resume:
            for split in _SPLITS:
                _remove_split(folder, split)
            record.unlink()
        elif (found := read_recipe(record)) != recipe:
            keys = [key for key in recipe if found.get(key) != recipe[key]]
            shown = ', '.join(f'{k} {found.get(k)!r} instead of {recipe[k]!r}' for k in keys)
            raise ConfigError(
                f'{folder}: holds a set made with other options ({shown}); '
                'choose another folder, or make it anew with --no-resume'
            )
    else:
        names = [f'{split}.yaml' for split in _SPLITS]
        taken = [name for name in names if (folder / name).exists()]
        if taken:
            raise ConfigError(
                f'{folder}: {taken[0]} belongs to a data set that is not synthetic; '
                'choose another folder'
            )
    write_atomically(record, (json.dumps(recipe, indent=2) + '\n').encode())


def _remove_split(folder: Path, split: str) -> None:
    for kind in ('ready', 'staging', 'shards'):
        shutil.rmtree(folder / f'.{split}.{kind}', ignore_errors=True)
    for name in ('yaml', *_FILES):
        (folder / f'{split}.{name}').unlink(missing_ok=True)


@contextmanager
def _single_threaded_children() -> Iterator[None]:
    """Child processes started inside use one thread for BLAS and OpenMP."""
    names = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, '1'))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _clean_processes() -> BaseContext:
    """Processes forked by a server that loads torch once: they start quickly and share nothing."""
    method = 'forkserver' if 'forkserver' in get_all_start_methods() else 'spawn'
    context = get_context(method)
    if method == 'forkserver':
        context.set_forkserver_preload(['fastmetro_mm.synthetic.worker'])
    return context


def make_synthetic_set(
    folder: str | Path,
    options: SyntheticSetOptions,
    workers: int = 1,
    resume: bool = True,
    show_progress: bool = True,
) -> SetSummary:
    """Draws a data set, or what is still missing of it.

    Args:
        folder: Where ``train.*`` and ``test.*`` go; made if missing.
        options: What to draw.
        workers: Processes that draw, one thread each; 0 and 1 draw in this process.
        resume: Keep what an interrupted run left; otherwise start anew.
        show_progress: Show a progress line on standard error.

    Returns:
        What was made.

    Raises:
        ValueError: The folder cannot be written or holds another set, or ``workers`` is negative.
        DataSetError: A worker process was killed.
    """
    if workers < 0:
        raise ConfigError(f'workers is {workers}, expected 0 or more')
    start = time.monotonic()
    folder = Path(folder)
    writable_folder(folder)
    with ExitStack() as held:
        # first: it finishes what a killed run had not put in place, and nothing is removed that
        # another run is writing
        for split in _SPLITS:
            held.enter_context(SetFolder(folder, split).hold())
        _prepare_folder(folder, options.recipe(), resume)
        writers = {split: TSVSetWriter(folder, split) for split in options.splits()}
        drawn = _write_missing(folder, options, writers, workers, show_progress)
    num_bytes, checksum = _measure(folder, options)
    return SetSummary(
        counts=options.splits(),
        yaml_files={split: writer.yaml_path for split, writer in writers.items()},
        drawn=drawn,
        num_bytes=num_bytes,
        seconds=time.monotonic() - start,
        checksum=checksum,
    )


def _write_missing(
    folder: Path,
    options: SyntheticSetOptions,
    writers: dict[str, TSVSetWriter],
    workers: int,
    show_progress: bool,
) -> int:
    """Draws the shards that are not there and joins them; gives the number of samples drawn."""
    num_shards = {split: -(-count // SHARD_SIZE) for split, count in options.splits().items()}
    missing = [
        (split, number)
        for split, writer in writers.items()
        if not writer.yaml_path.exists()
        for number in range(num_shards[split])
        if not writer.has_shard(number)
    ]
    total = sum(options.splits().values())
    drawn = sum(
        min(SHARD_SIZE, options.splits()[split] - number * SHARD_SIZE) for split, number in missing
    )
    if missing:
        progress = Progress(total, total - drawn) if show_progress else None
        writer = ShardWriter(options, folder)
        try:
            with _single_threaded_children():
                for count in run_jobs(
                    ShardWriter.draw,
                    (writer,),
                    missing,
                    max(workers, 1),
                    context=_clean_processes(),
                ):
                    if progress:
                        progress.add(count)
        finally:
            if progress:
                progress.close()
    for split, writer in writers.items():
        if not writer.yaml_path.exists():
            writer.close(num_shards[split])
    return drawn


def _measure(folder: Path, options: SyntheticSetOptions) -> tuple[int, str]:
    """Bytes and SHA-256 of all files of the set."""
    names = ('yaml', *_FILES)
    files = [folder / f'{split}.{name}' for split in options.splits() for name in names]
    return sum(file.stat().st_size for file in files), sha256_of(files)
