# SPDX-License-Identifier: Apache-2.0
"""Runs commands of the documents one after the other in one process, which imports but once."""

import json
import runpy
import sys

from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

from fastmetro_mm.cli import main


def run(words: list[str]) -> int:
    """One command; its exit code."""
    for kept in (MMLogger, MessageHub, DefaultScope, Visualizer):  # by name, in this process
        kept._instance_dict.clear()
    try:
        if words[0] == 'fastmetro':
            return main(words[1:])
        sys.argv = words[1:]  # python FILE ARGUMENTS
        runpy.run_path(words[1], run_name='__main__')
    except SystemExit as stop:
        return stop.code or 0
    return 0


if __name__ == '__main__':
    for page, command in json.loads(sys.stdin.read()):
        print(f'### {page}: {" ".join(command)}', flush=True)
        code = run(command)
        if code:
            sys.exit(f'### exit code {code}')
