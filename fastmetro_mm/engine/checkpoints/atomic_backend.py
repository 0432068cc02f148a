# SPDX-License-Identifier: Apache-2.0
"""mmengine's local files, written in one step."""

import os

from mmengine.fileio import LocalBackend, register_backend

from fastmetro_mm.fileio import write_atomically

ATOMIC_LOCAL = 'atomic_local'
"""Name of the backend; whoever imports it has it registered."""


class AtomicLocalBackend(LocalBackend):
    """mmengine's local file backend with atomic writes.

    Use it as ``backend_args=dict(backend='atomic_local')``.
    """

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write bytes atomically."""
        write_atomically(filepath, obj, sync=True)

    def put_text(self, obj: str, filepath: str | os.PathLike, encoding: str = 'utf-8') -> None:
        """Write text atomically."""
        write_atomically(filepath, obj.encode(encoding), sync=True)


register_backend(ATOMIC_LOCAL, AtomicLocalBackend, force=True)
