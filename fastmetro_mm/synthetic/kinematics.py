# SPDX-License-Identifier: Apache-2.0
"""Joints of a posed body without its mesh: forward kinematics, hands that reach, limbs that touch.

The skeleton is that of the open body's mean shape; shapes change it by a few centimetres, which is
little against the care that is needed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastmetro_mm.body.joint_sets import SMPL24_FLIP, SMPL24_PARENTS
from fastmetro_mm.synthetic.rotations import vectors_to_matrices

_MIRROR_VECTOR = np.array([1.0, -1.0, -1.0])
_MIRROR_POINT = np.array([-1.0, 1.0, 1.0])


def mirror_pose(pose: np.ndarray) -> np.ndarray:
    """The (24, 3) axis-angle pose seen in a mirror: left and right change places."""
    return pose[list(SMPL24_FLIP)] * _MIRROR_VECTOR


def place_joints(turns: np.ndarray, rest_joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics.

    Args:
        turns: (..., 24, 3, 3) turn of every joint relative to its parent.
        rest_joints: (24, 3) joints at rest, metres.

    Returns:
        (..., 24, 3) joints with the pelvis at the origin, and (..., 24, 3, 3) turns in body axes.
    """
    world = np.array(turns)
    places = np.zeros(turns.shape[:-1])
    for joint, parent in enumerate(SMPL24_PARENTS):
        if parent >= 0:
            step = rest_joints[joint] - rest_joints[parent]
            places[..., joint, :] = places[..., parent, :] + world[..., parent, :, :] @ step
            world[..., joint, :, :] = world[..., parent, :, :] @ turns[..., joint, :, :]
    return places, world


@dataclass(frozen=True)
class Reach:
    """A wrist that goes to a place."""

    side: str  # ``'l'`` or ``'r'``
    joint: int  # joint whose frame the place is given in; -1 is the upright frame at the pelvis
    offset: Sequence[float] | np.ndarray  # (3,) place of the wrist, metres, in that frame
    # (3,) where the elbow points, in the frame of the upper trunk
    pole: Sequence[float] | np.ndarray

    def mirrored(self) -> 'Reach':
        """The same for the other hand."""
        return Reach(
            'r' if self.side == 'l' else 'l',
            self.joint if self.joint < 0 else SMPL24_FLIP[self.joint],
            np.asarray(self.offset) * _MIRROR_POINT,
            np.asarray(self.pole) * _MIRROR_POINT,
        )


def reach(turns: np.ndarray, rest_joints: np.ndarray, goals: Sequence[Reach]) -> None:
    """Turns shoulders and elbows so that the wrists go to their goals, as far as arms are long.

    Args:
        turns: (24, 3, 3) local turns; changed in place.
        rest_joints: (24, 3) joints at rest, metres.
        goals: At most one for each hand; of a goal out of reach the direction is kept.
    """
    for goal in goals:
        places, world = place_joints(turns, rest_joints)
        shoulder, elbow, wrist = (16, 18, 20) if goal.side == 'l' else (17, 19, 21)
        frame = np.eye(3) if goal.joint < 0 else world[goal.joint]
        origin = places[max(goal.joint, 0)]
        way = origin + frame @ np.asarray(goal.offset, dtype=np.float64) - places[shoulder]
        upper = np.linalg.norm(rest_joints[elbow] - rest_joints[shoulder])
        lower = np.linalg.norm(rest_joints[wrist] - rest_joints[elbow])
        straight = np.linalg.norm(way)
        # Elbows neither snap straight nor fold flat.
        length = float(np.clip(straight, 0.45 * upper, 0.985 * (upper + lower)))
        way = way / max(straight, 1e-9)
        out = world[9] @ np.asarray(goal.pole, dtype=np.float64)
        out -= way * (way @ out)
        out /= max(float(np.linalg.norm(out)), 1e-9)
        along = (length**2 + upper**2 - lower**2) / (2 * length)
        aside = np.sqrt(max(upper**2 - along**2, 0.0))
        arm = (way * along + out * aside) / upper
        forearm = (way * (length - along) - out * aside) / lower
        flex = np.arccos(np.clip(arm @ forearm, -1.0, 1.0))
        # At rest the arm lies along +x (left) or -x (right), and the elbow bends towards +z.
        side = 1.0 if goal.side == 'l' else -1.0
        bend = forearm - arm * (arm @ forearm)
        bend /= max(float(np.linalg.norm(bend)), 1e-9)
        x = side * arm
        wanted = np.stack([x, np.cross(bend, x), bend], axis=1)
        turns[shoulder] = world[SMPL24_PARENTS[shoulder]].T @ wanted
        turns[elbow] = vectors_to_matrices(np.array([0.0, -side * flex, 0.0]))


# Two joints and a radius: limbs as capsules, a little thinner than the body so that touch is free.
_TRUNK = ((0, 6, 0.115), (6, 9, 0.115), (9, 12, 0.075), (1, 2, 0.085))
_HEAD = (15, 15, 0.085)
_ARM = {side: ((18 + i, 20 + i, 0.032), (20 + i, 22 + i, 0.030)) for i, side in enumerate('lr')}
_LEG = {side: ((1 + i, 4 + i, 0.062), (4 + i, 7 + i, 0.045)) for i, side in enumerate('lr')}


def _capsule_pairs() -> np.ndarray:
    pairs = []
    arms = _ARM['l'] + _ARM['r']
    pairs += [(limb, part) for limb in arms for part in (*_TRUNK, _HEAD)]
    pairs += [(limb, part) for limb in arms for part in _LEG['l'] + _LEG['r']]
    pairs += [(left, right) for left in _ARM['l'] for right in _ARM['r']]
    pairs += [(_LEG['l'][i], _LEG['r'][j]) for i, j in ((0, 1), (1, 0), (1, 1))]
    # The lower legs against the trunk, and the head against the thighs.
    pairs += [(_LEG[s][1], part) for s in 'lr' for part in _TRUNK[:2]]
    pairs += [(_HEAD, _LEG[s][0]) for s in 'lr']
    return np.array([(*a, *b) for a, b in pairs])


_PAIRS = _capsule_pairs()
_HEAD_CENTRE = np.array([0.0, 0.09, 0.03])
_STEPS = np.linspace(0.0, 1.0, 5)


def self_penetration(places: np.ndarray, world: np.ndarray) -> np.ndarray:
    """How deep limbs lie inside one another or the trunk.

    Args:
        places: (..., 24, 3) joints, metres.
        world: (..., 24, 3, 3) turns of the joints in body axes.

    Returns:
        (...) deepest overlap of two limbs, metres, 0 where nothing overlaps.
    """
    places = np.array(places)
    places[..., 15, :] += world[..., 15, :, :] @ _HEAD_CENTRE
    ends = _PAIRS[:, [0, 1, 3, 4]].astype(int)
    a, b, c, d = (places[..., ends[:, k], :] for k in range(4))
    # Points along one limb against the whole other one, and the other way round.
    near = np.minimum(_to_segment(a, b, c, d), _to_segment(c, d, a, b))
    return np.maximum(_PAIRS[:, 2] + _PAIRS[:, 5] - near, 0.0).max(axis=-1)


def _to_segment(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Least distance from points along a-b to the segment c-d, (..., P)."""
    points = a[..., None, :] + _STEPS[:, None] * (b - a)[..., None, :]
    along = (d - c)[..., None, :]
    offset = points - c[..., None, :]
    share = (offset * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-9)
    gap = offset - np.clip(share, 0.0, 1.0)[..., None] * along
    return np.sqrt((gap * gap).sum(-1).min(-1))
