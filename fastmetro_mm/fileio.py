# SPDX-License-Identifier: Apache-2.0
"""Writing files so that a reader, or a killed run, never meets half of one.

Every writer of the package goes through here: a temporary name beside the target, then one rename,
which is atomic within a file system. ``sync=True`` also waits for the disk, for files whose loss
in a power failure would cost hours (checkpoints).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fastmetro_mm.errors import InputError, UserError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Error numbers of a disk that is full or cannot be written."""
CACHE_VARIABLE = 'FASTMETRO_CACHE'
_MARK = '.partial'  # in the names of files that are still being written


def cache_folder() -> Path:
    """Folder of kept networks and of what is made once for all runs: graphs, machine code.

    Returns:
        ``$FASTMETRO_CACHE``, else ``fastmetro_mm`` in the user's cache.
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given).expanduser()
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'fastmetro_mm'


def check_target(path: str | os.PathLike) -> Path:
    """Refuse what a rename would destroy instead of fill.

    Args:
        path: Name of a file to write.

    Returns:
        The same path.

    Raises:
        InputError: If the name is that of a folder, a device, a pipe or a symbolic link.
    """
    path = Path(path)
    if path.is_symlink():
        raise InputError(
            f'{path}: is a symbolic link, which writing would replace: give the name '
            f'of the file itself ({os.path.realpath(path)})'
        )
    if path.is_dir():
        raise InputError(f'{path}: is a folder: give the name of a file')
    if path.exists() and not path.is_file():
        raise InputError(f'{path}: is a device or a pipe: give the name of a file')
    return path


def writable_folder(
    path: str | os.PathLike, option: str = '--out', error: type[UserError] = InputError
) -> Path:
    """A folder for results, made and tried before the work.

    Args:
        path: The folder; made if missing.
        option: What names another one, for the message.
        error: Raised where nothing can be written there.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as reason:
        raise error(
            f'{path}: cannot write there ({reason.strerror}): give another folder with {option}'
        ) from None
    return path


def temporary_beside(path: str | os.PathLike) -> Path:
    """An empty temporary file in the folder of ``path``, which is made if needed.

    Args:
        path: Final name; the temporary one keeps its suffix.

    Returns:
        The temporary name, for :func:`publish`.

    Raises:
        InputError: If the target cannot be replaced, see :func:`check_target`.
        OSError: If the folder cannot be written.
    """
    path = check_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        # not mkstemp: its files are private, and to learn the umask is to change it for all threads
        mark = f'{secrets.token_hex(4)}{_MARK}{path.suffix}'
        temporary = path.with_name(f'.{path.name}.{mark}')
        try:
            open(temporary, 'xb').close()
        except FileExistsError:
            continue
        except OSError as error:
            _name(error, path)
            raise
        return temporary


def publish(temporary: Path, path: str | os.PathLike, sync: bool = False) -> None:
    """Move a finished temporary file to its final name.

    Args:
        temporary: From :func:`temporary_beside`.
        path: Final name.
        sync: Whether to wait until content and name are on the disk.
    """
    if sync:
        wait_for_disk(temporary)
    os.replace(temporary, path)
    if sync:
        wait_for_disk(Path(path).parent, os.O_RDONLY)


def write_atomically(
    path: str | os.PathLike, content: bytes | Callable[[Path], Any], sync: bool = False
) -> Path:
    """Write a file in one step: afterwards ``path`` holds the old or the whole new content.

    Args:
        path: Final name; its folder is made if needed.
        content: The bytes, or a function that fills the file whose name it is given (a temporary
            one with the suffix of ``path``).
        sync: See :func:`publish`.

    Returns:
        The final path.

    Raises:
        InputError: If the target cannot be replaced, see :func:`check_target`.
        OSError: If the folder cannot be written or the disk is full; it names ``path``, and the
            temporary file is removed.
    """
    temporary = temporary_beside(path)
    try:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(content)
        publish(temporary, path, sync)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            _name(error, path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    return Path(path)


def write_json(path: str | os.PathLike, content: Any, indent: int | None = None) -> Path:
    """Write JSON in one step.

    Args:
        path: Final name.
        content: Anything ``json`` takes.
        indent: As in ``json.dumps``.

    Returns:
        The final path.
    """
    return write_atomically(path, json.dumps(content, indent=indent).encode())


def sha256_of(paths: Iterable[str | os.PathLike]) -> str:
    """Hash of the contents of files one after another, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, 'rb') as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def remove_partial_files(folder: str | Path) -> list[str]:
    """Delete what killed runs left half-written.

    Args:
        folder: Where to look; not below it.

    Returns:
        Names of the deleted files.
    """
    removed = []
    for path in Path(folder).glob(f'.*{_MARK}*'):
        path.unlink(missing_ok=True)
        removed.append(path.name)
    return removed


def _name(error: OSError, path: str | os.PathLike) -> None:
    """Let an error of the system name the file that the user knows."""
    if error.errno is not None:
        error.filename = str(path)


def wait_for_disk(path: Path, flags: int = os.O_RDWR) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
