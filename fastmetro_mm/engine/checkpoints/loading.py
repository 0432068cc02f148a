# SPDX-License-Identifier: Apache-2.0
"""Read checkpoints without running code from them, and find the one to resume from.

The package puts these loaders in the place of mmengine's for local files and web addresses, through
the public ``CheckpointLoader.register_scheme`` (`fastmetro_mm.registration`). Theirs run
``torch.load`` with torch's default, which is unrestricted before torch 2.6, and a bare traceback
after it.
"""

import difflib
import os
import pickle
import re
import zipfile
from pathlib import Path

import torch
from mmengine.runner.checkpoint import get_torchvision_models

from fastmetro_mm.engine.checkpoints.download import fetch_weights
from fastmetro_mm.engine.checkpoints.format import from_plain
from fastmetro_mm.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    UntrustedCheckpointError,
)

TRUST_VARIABLE = 'FASTMETRO_TRUST_CHECKPOINTS'
"""Environment variable; ``1`` allows checkpoints that may run code while they are read."""


def checkpoints_are_trusted() -> bool:
    """Whether the user allowed checkpoints that hold more than tensors and builtin values."""
    return os.environ.get(TRUST_VARIABLE, '').lower() in ('1', 'true', 'yes')


def _explain(path: str, error: Exception) -> CheckpointError:
    """The one-line error for a file that ``torch.load(weights_only=True)`` did not read."""
    text = str(error)
    name = re.search(r'GLOBAL ([\w.]+)', text) or re.search(r'[Uu]nsupported class ([\w.]+)', text)
    if name is not None:
        return UntrustedCheckpointError(
            f'{path}: needs {name.group(1)}, more than tensors and plain values, '
            'and so may run code while it is read: if you trust where it comes from, pass '
            f'--trust-checkpoint (or set {TRUST_VARIABLE}=1)')
    size = os.path.getsize(path)
    if not zipfile.is_zipfile(path):
        with open(path, 'rb') as file:
            begins_as_zip = file.read(2) == b'PK'
        what = 'truncated' if begins_as_zip else 'not a torch checkpoint, or damaged'
    else:
        what = 'damaged'
    return CheckpointError(
        f'{path}: {what} ({size} bytes; {text.splitlines()[0][:120] if text else "empty"}): '
        'copy or download it again, or resume from an earlier one')


def read_checkpoint(path: str | os.PathLike,
                    map_location: str | torch.device | None = 'cpu',
                    mmap: bool = False) -> dict:
    """Read a checkpoint file.

    Args:
        path: File written by ``torch.save``.
        map_location: As for ``torch.load``.
        mmap: Map the file instead of reading it (only the tensors used are then read).

    Returns:
        The checkpoint with log history and numpy arrays rebuilt.

    Raises:
        CheckpointNotFoundError: if there is no such file.
        UntrustedCheckpointError: if it holds more than tensors and builtin values and the user
            did not say that it is trusted.
        CheckpointError: if it is damaged, truncated or no checkpoint at all.
    """
    path = os.path.expanduser(os.fspath(path))
    if not os.path.isfile(path):
        raise CheckpointNotFoundError(
            f'{path}: no such checkpoint file: check the path (trained checkpoints lie in the '
            'work directory, e.g. work_dirs/<config>/epoch_1.pth)')
    mmap = mmap and zipfile.is_zipfile(path)
    failures = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError,
                AttributeError, UnicodeDecodeError, IndexError, TypeError)
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except PermissionError:
        raise
    except failures as error:
        explained = _explain(path, error)
        if not (isinstance(explained, UntrustedCheckpointError) and checkpoints_are_trusted()):
            raise explained from error
        # The user vouches for this very file: the only unrestricted read in the package.
        checkpoint = torch.load(path, map_location=map_location, weights_only=False)
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f'{path}: holds a {type(checkpoint).__name__} where a dict of weights was expected: '
            'give a checkpoint written by training')
    return from_plain(checkpoint)


def load_from_local_file(filename: str, map_location=None) -> dict:
    """Loader of local files for mmengine: :func:`read_checkpoint`."""
    return read_checkpoint(filename, map_location)


def load_from_web_address(filename: str, map_location=None) -> dict:
    """Loader of http(s) addresses for mmengine: download once per machine, then read restricted."""
    return read_checkpoint(fetch_weights(filename), map_location)


def load_from_torchvision(filename: str, map_location=None) -> dict:
    """Loader of ``torchvision://NAME``: the address that mmengine knows for it, as above."""
    name, known = filename.partition('://')[2], get_torchvision_models()
    if name not in known:
        alike = difflib.get_close_matches(name, known, n=3)
        raise CheckpointError(f'{filename}: torchvision has no weights of that name: '
                              f'{"did you mean " + " or ".join(alike) if alike else "check it"}?')
    return load_from_web_address(known[name], map_location)


def _resume_step(path: Path) -> int | None:
    """Iteration that a checkpoint was written at; None if training cannot go on from it."""
    try:
        checkpoint = read_checkpoint(path, mmap=True)
    except CheckpointError:
        return None
    if not all(key in checkpoint for key in ('meta', 'state_dict', 'optimizer')):
        return None
    return int(checkpoint['meta'].get('iter', -1))


def find_resume_checkpoint(work_dir: str | os.PathLike) -> str | None:
    """The newest readable checkpoint of a work directory, or None.

    The file that ``last_checkpoint`` names is taken, unless a later one was completed after it
    (the run was killed between the two writes) or it cannot be read: then the next newest.
    """
    folder = Path(work_dir)
    files = [path for pattern in ('epoch_*.pth', 'iter_*.pth') for path in folder.glob(pattern)]
    pointer = folder / 'last_checkpoint'
    named, named_step = None, None
    if pointer.is_file():
        text = pointer.read_text(encoding='utf-8').strip()
        # The folder may have been moved since: the name is looked up beside the pointer first.
        for path in (folder / Path(text).name, Path(text)):
            if text and path.is_file():
                named, named_step = path, _resume_step(path)
                break
    if named_step is not None:
        written = named.stat().st_mtime_ns
        later = [path for path in files if path.stat().st_mtime_ns > written]
    else:
        later = files
    for path in sorted(later, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        step = _resume_step(path)
        if step is not None and (named_step is None or step > named_step):
            return str(path)
    return str(named) if named_step is not None else None
