# SPDX-License-Identifier: Apache-2.0
"""The files of one set, put in place together: an older set of the name stays whole until then.

A new set is finished in a folder of its own beside the final names. Only when it is whole do its
files replace the older ones, by renames alone. A run that is killed between these renames leaves
the rest in a folder ``.<split>.ready``: readers refuse the set meanwhile, and the next writer
finishes the renames first.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fastmetro_mm.errors import ConfigError, DataSetError
from fastmetro_mm.fileio import check_target, wait_for_disk

_PARTS = ('img', 'hw', 'label', 'linelist')
_SPLIT = re.compile(r'\w[\w.-]*')
_REMOVED = 'removed'


def set_file_names(split: str) -> list[str]:
    """Names that a set may occupy in its folder; the yaml is the last."""
    names = [f'{split}.{part}.{end}' for part in _PARTS for end in ('tsv', 'lineidx')]
    return [*names, f'{split}.skipped.tsv', f'{split}.yaml']


def _ready_folder(folder: Path, split: str) -> Path:
    return folder / f'.{split}.ready'


def refuse_half_placed(yaml_path: Path) -> None:
    """Refuse to read a set whose files are just being put in place.

    Raises:
        DataSetError: With what to do.
    """
    if _ready_folder(yaml_path.parent, yaml_path.stem).is_dir():
        raise DataSetError(
            f'{yaml_path}: the run that made this set was stopped while it put the '
            'files in place: run the same command again, it finishes at once'
        )


class SetFolder:
    """Where one set is written: its final names, and a place to finish it before.

    Args:
        folder: Folder of the set, made where missing.
        split: First part of the file names.

    Raises:
        ConfigError: `split` is no such name.
        InputError: A final name belongs to a link, a folder or a device.
    """

    def __init__(self, folder: str | Path, split: str) -> None:
        if not _SPLIT.fullmatch(split):
            raise ConfigError(f'split {split!r}: use letters, digits, ".", "_" and "-" only')
        self.folder, self.split = Path(folder), split
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f'{folder} is a file: name a folder for the set')
        for name in set_file_names(split):
            check_target(self.folder / name)

    @property
    def shards(self) -> Path:
        """Folder of the parts of an unfinished set."""
        return self.folder / f'.{self.split}.shards'

    @property
    def yaml_path(self) -> Path:
        """The yaml of the set; it exists once the set is complete."""
        return self.folder / f'{self.split}.yaml'

    def path(self, part: str) -> Path:
        """Final name of a part."""
        return self.folder / f'{self.split}.{part}.tsv'

    def refuse_source(self, sources: Iterable[Path]) -> None:
        """Refuse to replace a file that the new set is made from.

        Raises:
            DataSetError: One of `sources` is one of the final names.
        """
        own = [self.folder / name for name in set_file_names(self.split)]
        own = [path for path in own if path.exists()]
        for source in sources:
            if any(os.path.samefile(source, path) for path in own):
                raise DataSetError(
                    f'{source} is a file of the source, and the new set would '
                    'replace it: take another folder or another split'
                )

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other runs away, finish what a killed one left.

        Raises:
            OSError: The folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f'.{self.split}.lock'
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _lock(handle, path):
                raise DataSetError(
                    f'{self.yaml_path}: another run is writing this set: wait for '
                    'it, or take another folder'
                )
            self._place()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
        finally:
            os.close(handle)

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """Folder to finish a set in; left without an error, the set replaces the older one.

        Yields:
            An empty folder; files in it carry their final names.
        """
        staging = self.folder / f'.{self.split}.staging'
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            yield staging
            staged = {path.name for path in staging.iterdir()}
            gone = [name for name in set_file_names(self.split) if name not in staged]
            (staging / _REMOVED).write_text('\n'.join(gone))
            for path in staging.iterdir():
                wait_for_disk(path)
            os.replace(staging, _ready_folder(self.folder, self.split))
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        self._place()

    def _place(self) -> None:
        """Move a finished set to its final names; may be stopped and begun again anywhere."""
        ready = _ready_folder(self.folder, self.split)
        if not ready.is_dir():
            return
        shutil.rmtree(self.shards, ignore_errors=True)  # it was made of these
        removed = ready / _REMOVED
        if removed.exists():
            self.yaml_path.unlink(missing_ok=True)  # readers of other projects know no more
            for name in removed.read_text().splitlines():
                (self.folder / name).unlink(missing_ok=True)
            removed.unlink()
        for name in set_file_names(self.split):
            if (ready / name).exists():
                os.replace(ready / name, self.folder / name)
        ready.rmdir()


def _lock(handle: int, path: Path) -> bool:
    """Whether a lock file could be had; also where the file system knows no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    # The holder before us may have removed the file while we opened it.
    return path.exists() and os.path.samestat(os.fstat(handle), path.stat())
