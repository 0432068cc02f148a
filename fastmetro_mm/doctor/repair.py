# SPDX-License-Identifier: Apache-2.0
"""Installs what the doctor misses, with pip, into the running interpreter's environment."""

import importlib.util
import shlex
import subprocess
import sys

from fastmetro_mm.compat.stack import NEEDS, OPENMMLAB, OPENMMLAB_NEEDS

# An mmengine, mmcv or mmdet that is there (also a fork of it) stays: these are installed alone.
_ALONE = {
    pin.split('==')[0].removesuffix('-lite'): pin for pin in shlex.split(OPENMMLAB) if '==' in pin
}


def repair_commands() -> list[list[str]]:
    """The pip commands that would install what is required and missing, and mmdet."""
    ordinary, alone = [], []
    for need in NEEDS:
        if importlib.util.find_spec(need.module.split('.')[0]) is not None:
            continue
        if need.module in _ALONE:
            alone.append(_ALONE[need.module])
        elif need.required:
            ordinary += shlex.split(need.fix)[2:]
    if alone:
        # what these need at run time, mmpose's chumpy left out
        ordinary += shlex.split(OPENMMLAB_NEEDS)[2:]
    pip = [sys.executable, '-m', 'pip', 'install']
    commands = [[*pip, *dict.fromkeys(ordinary)]] if ordinary else []
    return [*commands, [*pip, '--no-deps', *alone]] if alone else commands


def repair() -> bool:
    """Run the commands, showing each; whether all of them succeeded."""
    for command in repair_commands():
        print(shlex.join(command), flush=True)
        if subprocess.run(command, check=False).returncode != 0:
            print(
                'error: this command failed; run it again by hand after fixing the cause above',
                file=sys.stderr,
            )
            return False
    return True
