# SPDX-License-Identifier: Apache-2.0
"""Command-line errors in one line, with the fix.

A user's mistake prints ``error: ...`` and ends with exit code 2. Anything else keeps its
traceback, because it is a bug. ``FASTMETRO_TRACEBACK=1`` (or ``--traceback``) shows all of them.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from mmengine.config import DictAction
from mmengine.config.utils import ConfigParsingError

from fastmetro_mm.errors import CliError, ConfigError, UserError
from fastmetro_mm.fileio import NO_SPACE

TRACEBACK_VARIABLE = 'FASTMETRO_TRACEBACK'
_TRUST_VARIABLE = 'FASTMETRO_TRUST_CHECKPOINTS'
_MOST = 10**15  # of any number that is counted or measured
_LOST_PEER = re.compile(
    r'gloo.*(Connection closed by peer|Connection reset by peer|Broken pipe)|'
    r'^Dist\w*Error:'
)
_KILLED_WORKER = re.compile(r'DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) ([^.]+)')


class OneLineParser(argparse.ArgumentParser):
    """Argument parser whose errors are one line, not the whole usage; texts keep their lines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault('formatter_class', argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> None:
        """Print the error and end with exit code 2."""
        print(f'error: {message} (see {Path(self.prog).name} --help)', file=sys.stderr)
        raise SystemExit(2)


def count(text: str) -> int:
    """A whole number of at least 1, as the type of an argument."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number < _MOST:
        raise argparse.ArgumentTypeError(f'{text!r}, expected a whole number of 1 or more')
    return number


def factor(text: str) -> float:
    """A number above 0, as the type of an argument."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < _MOST:
        raise argparse.ArgumentTypeError(f'{text!r}, expected a number above 0')
    return number


class ConfigOptionAction(DictAction):
    """mmengine's ``key=value`` parser that names the faulty argument."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Check every pair before mmengine splits them."""
        pairs = [values] if isinstance(values, str) else list(values or ())
        for pair in pairs:
            key, equals, _ = pair.partition('=')
            if not equals or not key or ' ' in key:
                parser.error(
                    f'{option_string} {pair!r}: expected key=value without spaces, e.g. '
                    'train_dataloader.batch_size=8'
                )
        try:
            super().__call__(parser, namespace, values, option_string)
        except (ValueError, AssertionError, SyntaxError) as error:
            parser.error(f'{option_string} {" ".join(pairs)}: {error}')


def _own_line(error: BaseException) -> str:
    """The message on one line; of an error that torch carried over from a data worker, its own."""
    text = str(error)
    if 'in DataLoader worker process' in text:
        last = [line for line in text.strip().splitlines() if line and not line.startswith(' ')][-1]
        text = re.sub(r'^[\w.]+: ', '', last)
    return ' '.join(text.split())


def explain(error: BaseException) -> str | None:
    """The one-line message of a user's mistake; None for anything else, which is a bug."""
    text = _own_line(error)
    if isinstance(error, UserError):
        return text
    if isinstance(error, RuntimeError) and _LOST_PEER.search(f'{type(error).__name__}: {error}'):
        return (
            'another process of this run has ended, what it said is above or on its own '
            'machine: go on with --resume'
        )
    if isinstance(error, RuntimeError) and (killed := _KILLED_WORKER.search(str(error))):
        return (
            f'a data worker (process {killed[1]}) {killed[2]} (the system kills them where '
            'memory or shared memory is short): go on with --resume, perhaps with fewer '
            'train_dataloader.num_workers'
        )
    if isinstance(error, ConfigParsingError):
        return f'{text}: fix the config file'
    if isinstance(error, KeyError):
        name = re.search(r"'?([\w.]+) is not in the (\S+) registry", text)
        if name is None:
            return None
        return (
            f'{name.group(1)} is not registered in {name.group(2)}: check the spelling in the '
            "config, or import it there with custom_imports=dict(imports=['your.module'])"
        )
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return f'{error.filename}: {error.strerror}: choose another place for the output'
    if isinstance(
        error,
        (
            FileNotFoundError,
            FileExistsError,
            PermissionError,
            IsADirectoryError,
            NotADirectoryError,
        ),
    ):
        if error.filename is None:
            return text
        reason = error.strerror or type(error).__name__
        return f'{error.filename}: {reason}: check the path in the command or the config'
    if isinstance(error, ImportError) and 'pip install' in text:
        return text  # mmengine's logging backends name the package that they need
    return None


def process_rank() -> int:
    """Number of this process among those that a launcher started; known before they talk."""
    names = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
    found = [os.environ[name] for name in names if os.environ.get(name, '').isdigit()]
    return int(found[0]) if found else 0


def add_config_options(parser: argparse.ArgumentParser, example: str) -> None:
    """``--device`` and ``--cfg-options``, which every command with a config has.

    Args:
        parser: Gets the options.
        example: A setting, for the help.
    """
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptionAction,
        metavar='KEY=VALUE',
        help=f'override settings of the config, e.g. {example}',
    )


def add_common(parser: argparse.ArgumentParser, example: str) -> None:
    """What training and testing have in common, for :func:`apply_common` and the config.

    Args:
        parser: Gets the options.
        example: See :func:`add_config_options`.
    """
    add_config_options(parser, example)
    parser.add_argument('--show-dir', help='draw results into this folder')
    parser.add_argument('--show', action='store_true', help='draw them in a window')
    parser.add_argument('--interval', type=int, help='draw every N-th batch (default: the config)')
    parser.add_argument('--wait-time', type=float, default=1, help='seconds a window stays')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    add_reading(parser)


class Options(Protocol):
    """A parser, or a group of one."""

    def add_argument(self, *names: str, **how: Any) -> Any:
        """As argparse has it."""


def add_reading(parser: Options) -> None:
    """``--trust-checkpoint`` and ``--traceback``, for :func:`apply_common`."""
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='allow a checkpoint that may run code while it is read',
    )
    parser.add_argument('--traceback', action='store_true', help='show where an error came from')


def apply_common(args: argparse.Namespace) -> None:
    """Do what ``--traceback`` and ``--trust-checkpoint`` ask for."""
    if args.traceback:
        os.environ[TRACEBACK_VARIABLE] = '1'
    if args.trust_checkpoint:
        os.environ[_TRUST_VARIABLE] = '1'


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Turn a user's mistake into one line on stderr and exit code 2.

    What :func:`apply_common` sets holds until the end of the block: a program may call several
    commands, and trust the files of one of them only.
    """
    before = {name: os.environ.get(name) for name in (TRACEBACK_VARIABLE, _TRUST_VARIABLE)}
    try:
        with _explained():
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print('interrupted; go on with --resume', file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE, '0') not in ('', '0'):
            raise
        message = explain(error)
        if message is None:
            raise
        rank = process_rank()
        # what every process of a run meets is said once; the rest may have happened to one only
        if rank == 0:
            print(f'error: {message}', file=sys.stderr, flush=True)
        elif not isinstance(error, (CliError, ConfigError, ConfigParsingError)):
            print(f'error (process {rank}): {message}', file=sys.stderr, flush=True)
        raise SystemExit(2) from None
