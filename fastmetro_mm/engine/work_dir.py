# SPDX-License-Identifier: Apache-2.0
"""Which folder a training may write into: never one that another training uses or has used."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastmetro_mm.errors import CliError

LOCK_NAME = '.training.lock'
POLICIES = ('refuse', 'new', 'overwrite')
_CHECKPOINTS = (
    'epoch_*.pth',
    'iter_*.pth',
    'interrupted_iter_*.pth',
    'best_*.pth',
    'last_checkpoint',
)


def is_used(folder: str | os.PathLike) -> bool:
    """Whether a training has left checkpoints in a folder."""
    return any(next(Path(folder).glob(pattern), None) is not None for pattern in _CHECKPOINTS)


def free_work_dir(folder: str, policy: str = 'refuse') -> str:
    """The folder that a new training (not a resumed one) may use.

    Args:
        folder: The folder asked for.
        policy: What to do where it holds checkpoints: ``'refuse'``; ``'new'``: take the first of
            ``FOLDER_2``, ``FOLDER_3``... without any; ``'overwrite'``: use it all the same.

    Returns:
        The folder to use; it need not exist.

    Raises:
        CliError: If it is used and the policy is ``'refuse'``.
    """
    if policy == 'overwrite' or not is_used(folder):
        return folder
    if policy == 'new':
        number = 2
        while is_used(f'{folder}_{number}'):
            number += 1
        return f'{folder}_{number}'
    raise CliError(
        f'{folder}: holds the checkpoints of a training: go on with it (--resume), choose another '
        'folder (--work-dir, or --work-dir-policy new for one beside it), or write over it '
        '(--work-dir-policy overwrite)'
    )


@contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Keep other trainings out of a folder.

    The lock belongs to this process and ends with it, however it ends; a file that a dead process
    left behind locks nobody out. Data workers do not inherit it.

    Args:
        folder: An existing folder.

    Raises:
        CliError: If another training has it; says which.
    """
    path = Path(folder) / LOCK_NAME
    with open(path, 'a+', encoding='utf-8') as file:
        try:
            # not flock, which forked data workers would share: it would outlive a killed parent
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read().strip() or 'a process that did not say who it is'
            raise CliError(
                f'{folder}: another training writes there ({holder}): wait for it, end it, or '
                'choose another folder with --work-dir'
            ) from None
        except OSError:  # a file system without locks
            yield
            return
        file.truncate(0)
        file.write(
            f'process {os.getpid()} on {socket.gethostname()}, since '
            f'{time.strftime("%Y-%m-%d %H:%M:%S")}\n'
        )
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)  # the empty file stays: removing it would race with another start
