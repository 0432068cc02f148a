# SPDX-License-Identifier: Apache-2.0
"""Reading BVH motion files: the skeleton's offsets and every joint's turn in the world."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Motion:
    """A skeleton in motion.

    Attributes:
        names: Joint names, parents before children.
        parents: Row of every joint's parent, -1 for the root.
        offsets: (J, 3) joint from its parent at rest, in the file's unit and axes.
        turns: (T, J, 3, 3) turn of every joint relative to its rest pose, in world axes.
        seconds: Time between two frames.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    turns: np.ndarray
    seconds: float


def read_bvh(path: Path) -> Motion:
    """Reads a BVH file; end sites are left out.

    Raises:
        ValueError: The file is cut off, or a row of frames has the wrong length.
    """
    head, mark, body = path.read_text().partition('MOTION')
    if not mark:
        raise ValueError(f'{path}: no MOTION section; the file is cut off')
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[list[str]] = []
    stack: list[int] = []
    current = -1
    for line in head.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] in ('ROOT', 'JOINT'):
            parents.append(stack[-1] if stack else -1)
            names.append(words[1])
            current = len(names) - 1
        elif words[0] == 'End':
            current = -2
        elif words[0] == '{':
            stack.append(current)
        elif words[0] == '}':
            stack.pop()
        elif words[0] == 'OFFSET' and stack[-1] >= 0:
            offsets.append([float(word) for word in words[1:4]])
        elif words[0] == 'CHANNELS':
            channels.append(words[2:])
    lines = body.strip().splitlines()
    count, seconds = int(lines[0].split()[-1]), float(lines[1].split()[-1])
    values = np.array([[float(word) for word in line.split()] for line in lines[2 : 2 + count]])
    if values.shape != (count, sum(map(len, channels))):
        raise ValueError(
            f'{path}: {values.shape} values, expected {count} rows of {sum(map(len, channels))}'
        )
    turns = np.empty((count, len(names), 3, 3))
    column = 0
    for joint, channel in enumerate(channels):
        rotations = [name for name in channel if name.endswith('rotation')]
        start = column + channel.index(rotations[0])
        order = ''.join(name[0] for name in rotations)  # capitals: turns about moving axes
        angles = values[:, start : start + 3]
        local = Rotation.from_euler(order, angles, degrees=True).as_matrix()
        parent = parents[joint]
        turns[:, joint] = local if parent < 0 else turns[:, parent] @ local
        column += len(channel)
    return Motion(tuple(names), tuple(parents), np.array(offsets), turns, seconds)
