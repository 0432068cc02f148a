# SPDX-License-Identifier: Apache-2.0
"""Contestants that do known work."""

import time

import numpy as np


def sleeper(commands, seconds, value):
    """Sleep, and leave a number."""
    for turn, _ in enumerate(commands):
        time.sleep(seconds)
        commands.outputs['turns'] = turn + 1
    commands.outputs['value'] = np.array([value])


def hoarder(commands, megabytes):
    """Hold memory while it works."""
    for _ in commands:
        held = np.ones(megabytes * 2**17)
        held[0] = 2
        del held


def failing(commands):
    """Fail in the first turn."""
    for _ in commands:
        raise KeyError('no such thing')
