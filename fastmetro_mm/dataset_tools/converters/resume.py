# SPDX-License-Identifier: Apache-2.0
"""Whether the finished parts of a stopped conversion still belong to the source."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from fastmetro_mm.dataset_tools.converters.rows import RowSource, row_files, row_inputs


def file_state(path: str | os.PathLike) -> list:
    """Absolute path, size and time of change of a file; [path, None, None] where there is none."""
    place = os.path.abspath(path)
    try:
        about = os.stat(path)
    except (OSError, ValueError):  # missing, or a name that no file can have
        return [place, None, None]
    return [place, about.st_size, about.st_mtime_ns]


def digest(values: Any) -> str:
    """Short text for a long list of names or numbers."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def job_fingerprint(source: RowSource, total: int) -> str:
    """Text that is the same for two runs of one job: options and number of rows."""
    return json.dumps({**source.describe(), 'rows': total}, sort_keys=True)


def inputs_state(source: RowSource) -> str:
    """State of the files that all rows come from."""
    return digest([file_state(path) for path in row_inputs(source)])


def shard_note(source: RowSource, inputs: str, start: int, stop: int) -> str:
    """State of all files that the rows of one shard come from, before they are read.

    Args:
        source: The rows.
        inputs: `inputs_state` when the source was opened.
        start: First row.
        stop: Row after the last one.
    """
    files = (path for index in range(start, stop) for path in row_files(source, index))
    return f'{inputs} {digest([file_state(path) for path in files])}'
