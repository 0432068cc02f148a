# SPDX-License-Identifier: Apache-2.0
"""What the command lines about data sets share: checked numbers, and errors in one line."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from fastmetro_mm.engine.cli import TRACEBACK_VARIABLE, explain
from fastmetro_mm.errors import InputError


def count(text: str) -> int:
    """A whole number of at least 1, as the type of an argument."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text!r}, expected a whole number of 1 or more')
    return number


def factor(text: str) -> float:
    """A finite number above 0, as the type of an argument."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r}, expected a number above 0')
    return number


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def require_writable(folder: str | os.PathLike, option: str) -> Path:
    """A folder for results, made and tried before the work.

    Args:
        folder: The folder.
        option: Argument that names another one, for the message.

    Raises:
        InputError: It cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f'{folder}: cannot write there ({error.strerror}): give another folder with {option}'
        ) from None
    return folder


def run_command(work: Callable[[], int], failed: int, interrupted: str) -> int:
    """Do the work of a command line.

    Args:
        work: Gives the exit status.
        failed: Exit status for input that cannot be used and for a full disk.
        interrupted: What is said after Ctrl-C.

    Returns:
        The exit status; 130 after Ctrl-C.
    """
    try:
        return work()
    except KeyboardInterrupt:
        print(f'\ninterrupted; {interrupted}', file=sys.stderr)
        return 130
    except (ValueError, OSError, MemoryError) as error:
        if os.environ.get(TRACEBACK_VARIABLE, '0') not in ('', '0'):
            raise
        text = ' '.join(str(error).split()) or type(error).__name__
        print(f'error: {explain(error) or text}', file=sys.stderr)
        return failed
