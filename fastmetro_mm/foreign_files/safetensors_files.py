# SPDX-License-Identifier: Apache-2.0
"""Weights as safetensors: numbers and their names, nothing that could run."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fastmetro_mm.errors import CheckpointError
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.foreign_files.damage import reading

_UNUSED = 'official_unused.'  # entries of an official file without a place in the network
_META = 'meta'


def read_safetensors(path: str | os.PathLike) -> dict:
    """A checkpoint of weights.

    Returns:
        ``state_dict``, ``meta`` and, where a converted official file had them,
        ``official_unused``, as in a checkpoint of this package.

    Raises:
        ForeignFileError: It is damaged.
    """
    from safetensors import SafetensorError, safe_open

    with reading(str(path), 'copy or download it again'):
        try:
            with safe_open(path, framework='pt', device='cpu') as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}
                meta = json.loads((file.metadata() or {}).get(_META, '{}'))
        except SafetensorError as error:
            raise ValueError(str(error)) from error
    unused = {
        name.removeprefix(_UNUSED): value
        for name, value in tensors.items()
        if name.startswith(_UNUSED)
    }
    weights = {name: value for name, value in tensors.items() if not name.startswith(_UNUSED)}
    content = {'state_dict': weights, 'meta': meta if isinstance(meta, dict) else {}}
    return {**content, 'official_unused': unused} if unused else content


def write_safetensors(
    path: str | os.PathLike,
    weights: Mapping[str, Tensor],
    unused: Mapping[str, Tensor] | None = None,
    meta: Mapping[str, object] | None = None,
) -> None:
    """Write weights in one step.

    Args:
        path: New file.
        weights: Dense tensors by name.
        unused: See :func:`read_safetensors`.
        meta: Plain values to keep with them.

    Raises:
        OSError: The file cannot be written.
    """
    from safetensors.torch import save

    entries = {**weights, **{f'{_UNUSED}{name}': value for name, value in (unused or {}).items()}}
    for name, value in entries.items():
        if not isinstance(value, Tensor) or value.is_sparse or value.is_meta:
            raise CheckpointError(
                f'{Path(path).name}: {name} is no dense tensor, which a '
                'safetensors file needs; write a .pth'
            )
    content = save(
        {name: value.contiguous().clone() for name, value in entries.items()},
        {'format': 'pt', _META: json.dumps(dict(meta or {}), default=str)},
    )
    write_atomically(path, content)
