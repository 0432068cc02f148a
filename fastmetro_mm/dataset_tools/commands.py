# SPDX-License-Identifier: Apache-2.0
"""What the command lines about data sets share: checked numbers, and errors in one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from fastmetro_mm.engine.cli import TRACEBACK_VARIABLE, explain


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
