# SPDX-License-Identifier: Apache-2.0
"""What an activity is: a posture, hands that reach for something, and a tilt of the whole body."""

from dataclasses import dataclass, field

import numpy as np

from fastmetro_mm.synthetic.anatomy import Posture
from fastmetro_mm.synthetic.kinematics import Reach

PELVIS, CHEST, HEAD = 0, 9, 15
"""Joints whose frames goals of hands are given in."""


@dataclass(frozen=True)
class Activity:
    """A posture, what the hands reach for, and how the whole body is tilted."""

    posture: Posture
    reaches: tuple[Reach, ...] = ()
    tilt: np.ndarray = field(default_factory=lambda: np.eye(3))


def sign(side: str) -> float:
    """1 for the left side (``'l'``), -1 for the right one."""
    return 1.0 if side == 'l' else -1.0


def hand(
    side: str, joint: int, x: float, y: float, z: float, pole: tuple[float, float, float]
) -> Reach:
    """A goal written for the left hand."""
    s = sign(side)
    return Reach(side, joint, (s * x, y, z), (s * pole[0], *pole[1:]))
