# SPDX-License-Identifier: Apache-2.0
"""What the commands that start a Runner do before and after it."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastmetro_mm.engine.cli import apply_common, friendly_errors


@contextmanager
def command_run(
    parse_args: Callable[[list[str] | None], argparse.Namespace], argv: list[str] | None
) -> Iterator[argparse.Namespace]:
    """Parse, choose the device, and leave the process group however the block ends.

    A user's mistake ends with one line and exit code 2.

    Args:
        parse_args: Of the command, with the options of ``add_common``.
        argv: The command line; that of the process if None.

    Yields:
        The arguments.
    """
    with friendly_errors():
        args = parse_args(argv)
        apply_common(args)
        # here: --help needs no torch
        import mmengine.device.utils as used

        from fastmetro_mm.engine.config_options import choose_device
        from fastmetro_mm.engine.runner import leave_process_group

        before = used.DEVICE
        choose_device(args.device)
        try:
            yield args
        finally:
            used.DEVICE = before  # the next command of this process may want another one
            leave_process_group()
