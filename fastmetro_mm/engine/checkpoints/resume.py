# SPDX-License-Identifier: Apache-2.0
"""Find the checkpoint to resume from, and tell whether training can go on from it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.optim import OptimWrapper

from fastmetro_mm.engine.checkpoints.loading import read_checkpoint
from fastmetro_mm.errors import CheckpointError

INTERRUPTED_PATTERN = 'interrupted_iter_*.pth'
"""Checkpoints of trainings that were told to end; the next regular checkpoint replaces them."""


def check_resumable(checkpoint: Mapping[str, Any], source: str, optimizer: Any = None) -> None:
    """Refuse a checkpoint that training cannot go on from as if nothing had happened.

    Args:
        checkpoint: Its content.
        source: Its name for the message.
        optimizer: The run's ``OptimWrapper``; other kinds are not compared.

    Raises:
        CheckpointError: It lacks the optimizer, the epoch or the log, or belongs to a training
            with other parameter groups.
    """
    start = (
        'to start a new training from its weights, leave --resume out and give '
        f'--cfg-options load_from={source}'
    )
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    missing = [f'meta.{key}' for key in ('epoch', 'iter') if type(meta.get(key)) is not int]
    missing += [
        key for key in ('optimizer', 'message_hub') if not isinstance(checkpoint.get(key), Mapping)
    ]
    if missing:
        raise CheckpointError(
            f'{source}: training cannot go on from it, it holds no {", ".join(missing)} (best_* '
            f'files and bare weights do not): give an epoch_*.pth; {start}'
        )
    if isinstance(optimizer, OptimWrapper):
        wanted = [len(group['params']) for group in optimizer.optimizer.param_groups]
        groups = checkpoint['optimizer'].get('param_groups')
        found = [len(group.get('params', ())) for group in groups or ()]
        if found != wanted:
            raise CheckpointError(
                f'{source}: its optimizer has {_shown(found)}, the one of this config '
                f'{_shown(wanted)}: resume with the config it was trained with; {start}'
            )


def _shown(sizes: list[int]) -> str:
    if len(sizes) > 4:
        return f'{len(sizes)} groups with {sum(sizes)} parameters'
    return f'groups of {" and ".join(map(str, sizes)) or "no"} parameters'


def _resume_step(path: Path) -> int | None:
    """Iteration that a checkpoint was written at; None if training cannot go on from it."""
    try:
        checkpoint = read_checkpoint(path)
        check_resumable(checkpoint, str(path))
    except CheckpointError:
        return None
    return checkpoint['meta']['iter']


def find_resume_checkpoint(work_dir: str | os.PathLike) -> str | None:
    """The newest readable checkpoint of a work directory, or None.

    The file that ``last_checkpoint`` names is taken, unless a later one was completed after it
    (the run was killed between the two writes) or it cannot be read: then the next newest.
    """
    folder = Path(work_dir)
    files = [
        path
        for pattern in ('epoch_*.pth', 'iter_*.pth', INTERRUPTED_PATTERN)
        for path in folder.glob(pattern)
    ]
    pointer = folder / 'last_checkpoint'
    named, named_step = None, None
    if pointer.is_file():
        text = pointer.read_text(encoding='utf-8', errors='replace').strip().replace('\0', '')
        # The folder may have been moved since: the name is looked up beside the pointer first.
        for path in (folder / Path(text).name, Path(text)):
            if text and path.is_file():
                named, named_step = path, _resume_step(path)
                break
    if named is not None and named_step is not None:
        written = named.stat().st_mtime_ns
        later = [path for path in files if path.stat().st_mtime_ns > written]
    else:
        later = files
    for path in sorted(later, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        step = _resume_step(path)
        if step is not None and (named_step is None or step > named_step):
            return str(path)
    return str(named) if named_step is not None else None
