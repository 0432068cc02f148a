# SPDX-License-Identifier: Apache-2.0
"""Skeleton of the right hand in MANO's order, and named hand poses.

The rest hand lies flat along -x (fingertips at negative x), palm down, thumb forward (+z), as
MANO's right hand does. Bending a finger towards the palm turns it about +z there.
"""

import numpy as np
from scipy.spatial.transform import Rotation

HAND_JOINTS = (
    'wrist',
    *(
        f'{finger}{i}'
        for finger in ('index', 'middle', 'pinky', 'ring', 'thumb')
        for i in (1, 2, 3)
    ),
)
HAND_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)


def hand_pose(**degrees: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """(16, 3) radians from finger names, each with three axis-angle triples in degrees."""
    pose = np.zeros((16, 3))
    for finger, values in degrees.items():
        start = HAND_JOINTS.index(f'{finger}1')
        pose[start : start + 3] = np.radians(values)
    return pose


# Where the straight fingers point in the rest hand: turn about +y away from -x, degrees.
_HEADING = {'index': 9.0, 'middle': -7.0, 'ring': -18.0, 'pinky': -27.0}


def curl(
    finger: str, first: float, second: float, third: float, spread: float = 1.0
) -> tuple[tuple[float, float, float], ...]:
    """Bend of a finger's three joints towards the palm, degrees, about its own hinge axis.

    ``spread`` is the share of the finger's sideways turn that is kept: bent fingers close up.
    """
    heading = np.radians(_HEADING[finger])
    hinge = np.array([np.sin(heading), 0.0, np.cos(heading)])
    close = Rotation.from_rotvec([0.0, heading * (spread - 1.0), 0.0])
    base = (close * Rotation.from_rotvec(np.radians(first) * hinge)).as_rotvec(degrees=True)
    return tuple(base), tuple(second * hinge), tuple(third * hinge)


def random_hand_pose(rng: np.random.Generator) -> np.ndarray:
    """Random bends of all fingers, the wrist at rest."""
    fingers = {
        name: curl(name, rng.uniform(-5, 80), rng.uniform(0, 85), rng.uniform(0, 50))
        for name in _HEADING
    }
    thumb = (
        (0, rng.uniform(-40, 15), rng.uniform(0, 15)),
        (0, rng.uniform(-35, 0), 0),
        (0, rng.uniform(-65, 0), 0),
    )
    return hand_pose(thumb=thumb, **fingers)


def all_fingers(first: float, second: float, third: float, spread: float = 1.0) -> dict:
    """The same bend for the four fingers."""
    return {name: curl(name, first, second, third, spread) for name in _HEADING}


# The thumb starts out pointing forward and down; turning it about -y brings it across the palm.
_THUMB_OVER = ((0, -35, 12), (0, -30, 0), (0, -65, 0))
_CLOSED = all_fingers(82, 97, 60, spread=0.1)
MEAN_CURL = hand_pose(
    index=curl('index', 10, 16, 10, 0.8),
    middle=curl('middle', 14, 20, 12, 0.8),
    ring=curl('ring', 16, 22, 13, 0.8),
    pinky=curl('pinky', 16, 22, 13, 0.8),
    thumb=((0, -6, 4), (0, -6, 0), (0, -12, 0)),
)
NAMED_HAND_POSES = {
    'fist': hand_pose(**_CLOSED, thumb=_THUMB_OVER),
    'pointing': hand_pose(**{**_CLOSED, 'index': curl('index', 0, 4, 4)}, thumb=_THUMB_OVER),
    'spread': hand_pose(
        **all_fingers(0, 0, 0, spread=1.5), thumb=((0, 15, 0), (0, 0, 0), (0, 0, 0))
    ),
    'half open': hand_pose(
        **all_fingers(38, 45, 25, spread=0.6), thumb=((0, -18, 8), (0, -12, 0), (0, -25, 0))
    ),
}
