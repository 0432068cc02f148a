# SPDX-License-Identifier: Apache-2.0
"""Skeleton of the right hand in MANO's order, and named hand poses.

The rest hand lies flat along -x (fingertips at negative x), palm down, thumb forward (+z), as
MANO's right hand does. Bending a finger towards the palm turns it about +z there.
"""

import numpy as np

HAND_JOINTS = ('wrist',) + tuple(
    f'{finger}{i}' for finger in ('index', 'middle', 'pinky', 'ring', 'thumb') for i in (1, 2, 3))
HAND_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)


def hand_pose(**degrees: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """(16, 3) radians from finger names, each with three axis-angle triples in degrees."""
    pose = np.zeros((16, 3))
    for finger, values in degrees.items():
        start = HAND_JOINTS.index(f'{finger}1')
        pose[start:start + 3] = np.radians(values)
    return pose


def random_hand_pose(rng: np.random.Generator) -> np.ndarray:
    """Random bends of all fingers, the wrist at rest."""
    fingers = {name: curl(rng.uniform(-5, 80), rng.uniform(0, 85), rng.uniform(0, 50))
               for name in ('index', 'middle', 'ring', 'pinky')}
    thumb = ((rng.uniform(0, 30), rng.uniform(-15, 30), 0), (0, rng.uniform(0, 40), 0),
             (0, rng.uniform(0, 60), 0))
    return hand_pose(thumb=thumb, **fingers)


def curl(first: float, second: float, third: float) -> tuple[tuple[float, float, float], ...]:
    """Bend of the three joints of a finger towards the palm, degrees."""
    return ((0, 0, first), (0, 0, second), (0, 0, third))


_THUMB_OVER = ((30, 25, 10), (0, 35, 0), (0, 55, 0))
MEAN_CURL = hand_pose(
    index=curl(10, 16, 10), middle=curl(14, 20, 12), ring=curl(16, 22, 13),
    pinky=curl(16, 22, 13), thumb=((6, 8, 4), (0, 6, 0), (0, 10, 0)))
NAMED_HAND_POSES = {
    'fist': hand_pose(index=curl(80, 95, 60), middle=curl(82, 98, 60), ring=curl(84, 98, 60),
                      pinky=curl(84, 95, 60), thumb=_THUMB_OVER),
    'pointing': hand_pose(index=curl(0, 4, 4), middle=curl(82, 98, 60), ring=curl(84, 98, 60),
                          pinky=curl(84, 95, 60), thumb=_THUMB_OVER),
    'spread': hand_pose(index=((0, -12, 0), (0, 0, 0), (0, 0, 0)),
                        ring=((0, 8, 0), (0, 0, 0), (0, 0, 0)),
                        pinky=((0, 16, 0), (0, 0, 0), (0, 0, 0)),
                        thumb=((0, -20, 0), (0, 0, 0), (0, 0, 0))),
    'half open': hand_pose(index=curl(35, 45, 25), middle=curl(38, 45, 25),
                           ring=curl(40, 45, 25), pinky=curl(40, 45, 25),
                           thumb=((10, 10, 5), (0, 15, 0), (0, 20, 0))),
}
