# SPDX-License-Identifier: Apache-2.0
"""What the command lines about data sets share: a choice of bodies, and errors in one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from fastmetro_mm.dataset_tools.inspection.label_mesh import BODIES
from fastmetro_mm.engine.cli import TRACEBACK_VARIABLE, explain


def add_body(parser: argparse.ArgumentParser, use: str) -> None:
    """Add the arguments that choose a body model; `use` says what for."""
    parser.add_argument(
        '--body-model',
        default='auto',
        choices=BODIES,
        help=f'mesh to {use}; auto: SMPL or MANO where found; synthetic sets: open_body or '
        'open_hand',
    )
    parser.add_argument('--body-data', help='folder of the licensed body files')


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
