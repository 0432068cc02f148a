# SPDX-License-Identifier: Apache-2.0
"""Writing result files so that a reader never sees half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: str | Path, write: Callable[[Path], None]) -> Path:
    """Let ``write`` fill a temporary file beside ``path`` and move it there.

    Args:
        path: final name; its folder is made if needed.
        write: called with the temporary name, which keeps the suffix of ``path``.

    Returns:
        The final path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.stem}.{os.getpid()}.tmp{path.suffix}')
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_json(path: str | Path, content: Any, indent: int | None = None) -> Path:
    """Write JSON atomically.

    Args:
        path: final name.
        content: anything ``json`` takes.
        indent: as in ``json.dumps``.

    Returns:
        The final path.
    """
    text = json.dumps(content, indent=indent)
    return write_atomically(path, lambda name: name.write_text(text, encoding='utf-8'))
