# SPDX-License-Identifier: Apache-2.0
"""Finds the command that ``fastmetro`` was asked for, and its help."""

import difflib
import importlib
import os
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass

from fastmetro_mm.compat import lean
from fastmetro_mm.compat.stack import require_stack


@dataclass(frozen=True)
class Command:
    """A word after ``fastmetro``."""

    module: str  # where its ``main(argv)`` lies; imported when the command runs
    summary: str  # one line for the list of commands
    needs_stack: bool = True  # whether it can do nothing without torch, mmengine, mmcv and mmpose
    # whether it uses little of mmpose, whose other packages then wait until asked for
    is_lean: bool = False


COMMANDS = {
    'demo': Command(
        'fastmetro_mm.cli.demo', 'people in photos, folders and videos, as meshes', is_lean=True
    ),
    'serve': Command(
        'fastmetro_mm.cli.serve', 'a page that takes photos and videos, in a browser', is_lean=True
    ),
    'models': Command('fastmetro_mm.cli.models', 'networks by name, and what each needs', False),
    'export': Command(
        'fastmetro_mm.cli.export', 'a network as ONNX; results as OBJ, PLY, GLB, HTML, SMPL files'
    ),
    'train': Command('fastmetro_mm.cli.train', 'train a network from a config'),
    'test': Command('fastmetro_mm.cli.test', 'evaluate a checkpoint'),
    'worst': Command('fastmetro_mm.cli.worst', 'draw the samples with the largest errors'),
    'synthesize': Command(
        'fastmetro_mm.cli.synthesize', 'draw labelled people or hands to train on'
    ),
    'convert': Command(
        'fastmetro_mm.cli.convert', 'data sets to the TSV layout; released weights to ours and back'
    ),
    'browse': Command('fastmetro_mm.cli.browse', 'draw samples of a data set as they are learned'),
    'prepare': Command(
        'fastmetro_mm.cli.prepare', 'check official body files and put them in place'
    ),
    'doctor': Command(
        'fastmetro_mm.cli.doctor', 'what this installation lacks; faults of a data set', False
    ),
    'run': Command(
        'fastmetro_mm.cli.run_script',
        "a script of mmpose's or your own, with mmcv's operators stood in for",
    ),
}

_GROUPS = {
    'Use': ('demo', 'serve', 'models', 'export'),
    'Train and evaluate': ('train', 'test', 'worst'),
    'Data': ('synthesize', 'convert', 'browse', 'prepare'),
    'Help yourself': ('doctor', 'run'),
}

_EXAMPLES = """examples:
  fastmetro demo photo.jpg                      overlay, arrays, GLB and a page in outputs/
  fastmetro models                              which networks there are
  fastmetro synthesize --out data/people --train 3000 --test 300
  fastmetro train quickstart --work-dir work_dirs/mine
  fastmetro test quickstart work_dirs/mine/epoch_8.pth
  fastmetro doctor                              what is missing, and how to fix it

`fastmetro COMMAND --help` tells everything about a command. Exit code: 0 if all went well, 1 if
some inputs could not be used (one line each), 2 if nothing could be started."""


def help_text() -> str:
    """The list of commands."""
    lines = [
        'usage: fastmetro COMMAND [options]',
        '',
        '3D human and hand meshes from images: FastMETRO for mmpose 1.x.',
        '',
    ]
    for title, names in _GROUPS.items():
        lines.append(f'{title}:')
        lines += [f'  {name:<12}{COMMANDS[name].summary}' for name in names]
        lines.append('')
    return '\n'.join([*lines, _EXAMPLES])


def _fail(message: str) -> int:
    print(f'error: {message}', file=sys.stderr)
    return 2


def run_module(module: str) -> int:
    """Run ``main()`` of a module of this package on ``sys.argv``."""
    return importlib.import_module(module).main() or 0


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Words after ``fastmetro``; those of the process if not given.

    Returns:
        Exit code: 0, 1 if some inputs could not be used, 2 if nothing could be started.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ['help']:
        words = [*words[1:2], '--help']
    if not words or words[0] in ('-h', '--help'):
        with suppress(BrokenPipeError):  # `fastmetro --help | head`
            print(help_text(), flush=True)
            return 0
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if words[0] in ('-V', '--version'):
        from fastmetro_mm import __version__

        print(f'fastmetro_mm {__version__}')
        return 0
    name, rest = words[0], words[1:]
    command = COMMANDS.get(name)
    if command is None:
        similar = difflib.get_close_matches(name, COMMANDS, n=1)
        meant = f'did you mean {similar[0]}? ' if similar else ''
        return _fail(f'{name}: no such command; {meant}(see fastmetro --help)')
    # data workers of a spawning platform import the package anew
    os.environ.setdefault('PYTHONWARNINGS', 'ignore:pkg_resources is deprecated')
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    if command.needs_stack and not {'-h', '--help'} & set(rest):
        try:
            require_stack()
        except ModuleNotFoundError as error:
            return _fail(str(error))
    if command.is_lean:
        lean.use()
    sys.argv = [f'fastmetro {name}', *rest]  # what argparse calls the program
    return run_module(command.module)
