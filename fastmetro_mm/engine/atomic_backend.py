# SPDX-License-Identifier: Apache-2.0
"""Write files so that a reader, or a killed run, never meets half of one."""

import os
import tempfile
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

TEMPORARY_SUFFIX = '.partial'
"""End of the names of files that are still being written."""


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write ``data`` to a temporary file beside ``path``, then rename it.

    The rename is atomic within a file system, so ``path`` holds the old or the new content at
    any time, also after a power failure (the data are flushed to the disk first).

    Raises:
        OSError: if the folder cannot be written; the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(
        prefix=f'.{path.name}.', suffix=TEMPORARY_SUFFIX, dir=path.parent)
    try:
        # mkstemp makes private files; give what open() would have given.
        umask = os.umask(0)
        os.umask(umask)
        with os.fdopen(handle, 'wb') as file:
            os.fchmod(file.fileno(), 0o666 & ~umask)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def remove_partial_files(folder: str | os.PathLike) -> list[str]:
    """Delete what a killed run left half-written in ``folder``; returns the names."""
    removed = []
    for path in Path(folder).glob(f'.*{TEMPORARY_SUFFIX}'):
        path.unlink(missing_ok=True)
        removed.append(path.name)
    return removed


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """mmengine's local file backend with atomic writes.

    Use it as ``backend_args=dict(backend='atomic_local')``.
    """

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write bytes atomically."""
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: str | os.PathLike, encoding: str = 'utf-8') -> None:
        """Write text atomically."""
        write_atomically(filepath, obj.encode(encoding))
