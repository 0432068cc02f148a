# SPDX-License-Identifier: Apache-2.0
"""Read checkpoints without running code from them."""

import os
from pathlib import Path

from fastmetro_mm.engine.checkpoints.download import fetch_weights
from fastmetro_mm.engine.checkpoints.format import from_plain
from fastmetro_mm.errors import CheckpointError, CheckpointNotFoundError, UntrustedCheckpointError
from fastmetro_mm.foreign_files.damage import raise_as, reading
from fastmetro_mm.foreign_files.kinds import recognise, sentence
from fastmetro_mm.foreign_files.safetensors_files import read_safetensors
from fastmetro_mm.foreign_files.torch_files import read_torch_file
from fastmetro_mm.foreign_files.trusted import checkpoints_are_trusted, read_trusted


def read_checkpoint(path: str | os.PathLike) -> dict:
    """Read a checkpoint file, onto the CPU.

    Args:
        path: File written by ``torch.save`` in any format and pickle protocol, or safetensors.

    Returns:
        The checkpoint with log history and numpy arrays rebuilt.

    Raises:
        CheckpointNotFoundError: if there is no such file.
        UntrustedCheckpointError: if it holds more than tensors and builtin values and the user
            did not say that it is trusted.
        CheckpointError: if it is damaged, truncated or no checkpoint at all; the file is named
            for what it is.
    """
    path = os.path.expanduser(os.fspath(path))
    if os.path.isdir(path):
        files = sorted(Path(path).glob('*.pth'), key=os.path.getmtime)
        newest = f', e.g. {files[-1]}' if files else ''
        raise CheckpointNotFoundError(f'{path}: is a folder: give a checkpoint in it{newest}')
    if not os.path.isfile(path):
        raise CheckpointNotFoundError(
            f'{path}: no such checkpoint file: check the path (trained checkpoints lie in the '
            'work directory, e.g. work_dirs/<config>/epoch_1.pth)'
        )
    with raise_as(CheckpointError):
        kind = recognise(path)
        if kind == 'safetensors':
            checkpoint = read_safetensors(path)
        elif kind in ('torch', 'old torch', 'pickle'):
            checkpoint = _read_torch(path)
        else:
            raise CheckpointError(
                f'{path}: expected a checkpoint, but the file {sentence(kind, path)}'
            )
        if not isinstance(checkpoint, dict):
            raise CheckpointError(
                f'{path}: holds a {type(checkpoint).__name__} where a dict of weights was '
                'expected: give a checkpoint written by training'
            )
        with reading(path):
            return from_plain(checkpoint)


def _read_torch(path: str) -> object:
    try:
        return read_torch_file(path)
    except UntrustedCheckpointError:
        if not checkpoints_are_trusted():
            raise
        return read_trusted(path)


def read_from(source: str | os.PathLike) -> dict:
    """:func:`read_checkpoint` for a file or an ``http(s)://`` address.

    All processes of a run must call it together, see :func:`fetch_weights`.
    """
    if str(source).startswith(('http://', 'https://')):
        source = fetch_weights(str(source))
    return read_checkpoint(source)
