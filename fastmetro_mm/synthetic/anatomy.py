# SPDX-License-Identifier: Apache-2.0
"""Anatomical angles of the 24-joint body, their limits, and their turning into SMPL axis-angle.

A posture is a mapping from angle names (``'l_knee_flex'``, ``'spine_bend'``...) to radians; every
name that is absent is zero. The body's rest pose is the T-pose of SMPL files (x to the body's
left, y up, z forward), in which every joint frame is parallel to the body frame. So each angle is
a turn about a fixed body axis, written here for the left side; the right side is its mirror image,
with the same numbers. The limits are rounded from textbook ranges of motion and kept on the
inner side, because the angles of one joint do not all reach their ends together.
"""

from collections.abc import Mapping

import numpy as np

from fastmetro_mm.synthetic.rotations import matrices_to_vectors, rotate_about

Posture = dict[str, float]

_X, _Y, _Z = np.eye(3)

# Joint of the left side (or middle) -> its factors, applied as R = F1 F2 F3: (name, axis, lo, hi).
_FACTORS: dict[str, tuple[tuple[str, np.ndarray, float, float], ...]] = {
    'hip': (
        ('hip_flex', -_X, -0.50, 2.10),
        ('hip_spread', _Z, -0.35, 0.85),
        ('hip_twist', _Y, -0.60, 0.80),
    ),
    'knee': (('knee_flex', _X, 0.0, 2.50), ('knee_twist', _Y, -0.15, 0.15)),
    'ankle': (('ankle_lift', -_X, -0.75, 0.45), ('ankle_roll', _Z, -0.25, 0.25)),
    'toes': (('toes_lift', -_X, -0.20, 0.60),),
    'collar': (('collar_lift', _Z, -0.12, 0.45), ('collar_forward', -_Y, -0.25, 0.35)),
    'elbow': (('elbow_flex', -_Y, 0.0, 2.45), ('elbow_roll', _X, -1.00, 1.00)),
    'wrist': (('wrist_flex', -_Z, -0.80, 0.90), ('wrist_side', -_Y, -0.35, 0.35)),
    'fingers': (('fingers_curl', -_Z, -0.10, 0.60),),
}
_MIDDLE_FACTORS: dict[str, tuple[tuple[str, np.ndarray, float, float], ...]] = {
    f'{part}': (
        (f'{part}_bend', _X, lo, hi),
        (f'{part}_lean', _Z, -side, side),
        (f'{part}_turn', _Y, -turn, turn),
    )
    for part, lo, hi, side, turn in (
        ('spine1', -0.25, 0.50, 0.22, 0.25),
        ('spine2', -0.22, 0.45, 0.22, 0.30),
        ('spine3', -0.20, 0.35, 0.18, 0.30),
        ('neck', -0.40, 0.45, 0.30, 0.55),
        ('head', -0.35, 0.40, 0.25, 0.50),
    )
}
# The shoulder is a swing of the hanging arm towards a direction, then a turn about the upper arm:
# raise 0 = hanging, pi/2 = level, pi = up; plane 0 = sideways, pi/2 = forward, negative = behind.
_SHOULDER_LIMITS = {
    'shoulder_raise': (0.0, 2.95),
    'shoulder_plane': (-1.45, 2.30),
    'shoulder_twist': (-1.45, 1.40),
}
_BACKWARD_RAISE = 0.90  # an arm behind the frontal plane cannot be lifted higher than this

_LEFT_JOINTS = {
    'hip': 1, 'knee': 4, 'ankle': 7, 'toes': 10, 'collar': 13, 'shoulder': 16,
    'elbow': 18, 'wrist': 20, 'fingers': 22,
}  # fmt: skip
_MIDDLE_JOINTS = {'spine1': 3, 'spine2': 6, 'spine3': 9, 'neck': 12, 'head': 15}
_ROOT_FACTORS = (
    ('root_turn', _Y, -np.pi, np.pi),
    ('root_bend', _X, -0.60, 1.75),
    ('root_lean', _Z, -0.45, 0.45),
)
_MIRROR = np.array([1.0, -1.0, -1.0])  # a rotation vector seen in the mirror x -> -x


def _build_limits() -> dict[str, tuple[float, float]]:
    limits = {name: (lo, hi) for name, _, lo, hi in _ROOT_FACTORS}
    for factors in _MIDDLE_FACTORS.values():
        limits.update({name: (lo, hi) for name, _, lo, hi in factors})
    for side in ('l', 'r'):
        for factors in _FACTORS.values():
            limits.update({f'{side}_{name}': (lo, hi) for name, _, lo, hi in factors})
        limits.update({f'{side}_{name}': pair for name, pair in _SHOULDER_LIMITS.items()})
    return limits


LIMITS: dict[str, tuple[float, float]] = _build_limits()
"""Lowest and highest value of every angle name, radians."""


def clamp_posture(posture: Mapping[str, float]) -> Posture:
    """Moves every angle inside its limits.

    Args:
        posture: Angle name to radians; unknown names raise a KeyError.

    Returns:
        A new posture inside :data:`LIMITS`; an arm behind the body is lifted by at most 0.9 rad.
    """
    inside = {}
    for name, value in posture.items():
        lo, hi = LIMITS[name]
        inside[name] = float(min(max(value, lo), hi))
    for side in ('l', 'r'):
        plane = inside.get(f'{side}_shoulder_plane', 0.0)
        top = 2.95 + plane / -0.30 * (_BACKWARD_RAISE - 2.95) if plane < 0 else 2.95
        name = f'{side}_shoulder_raise'
        inside[name] = min(inside.get(name, 0.0), max(top, _BACKWARD_RAISE))
    return inside


def _factor_arrays() -> tuple[list[tuple[int, int, str]], np.ndarray]:
    """Places of all fixed-axis factors in the (24, 3) grid of factors, and the axes (24, 3, 3)."""
    slots: list[tuple[int, int, str]] = []
    axes = np.tile(_X, (24, 3, 1))

    def add(joint: int, place: int, name: str, axis: np.ndarray) -> None:
        slots.append((joint, place, name))
        axes[joint, place] = axis

    for place, (name, axis, _, _) in enumerate(_ROOT_FACTORS):
        add(0, place, name, axis)
    for part, factors in _MIDDLE_FACTORS.items():
        for place, (name, axis, _, _) in enumerate(factors):
            add(_MIDDLE_JOINTS[part], place, name, axis)
    for part, factors in _FACTORS.items():
        for place, (name, axis, _, _) in enumerate(factors):
            joint = _LEFT_JOINTS[part]
            add(joint, place, f'l_{name}', axis)
            add(joint + 1, place, f'r_{name}', axis * _MIRROR)
    return slots, axes


_SLOTS, _AXES = _factor_arrays()


def posture_to_pose(posture: Mapping[str, float]) -> np.ndarray:
    """Turns a posture into the axis-angle pose of a 24-joint body.

    Args:
        posture: Angle name to radians, absent names are zero (arms then hang down).

    Returns:
        (24, 3) float64 axis-angle, SMPL order; row 0 is the root in the body's own upright frame
        (y up, facing z), still without the camera.
    """
    axes = _AXES.copy()
    angles = np.zeros((24, 3))
    for joint, place, name in _SLOTS:
        angles[joint, place] = posture.get(name, 0.0)
    for side, mirror in (('l', np.ones(3)), ('r', _MIRROR)):
        joint = _LEFT_JOINTS['shoulder'] + (side == 'r')
        plane = posture.get(f'{side}_shoulder_plane', 0.0)
        # Swing about the horizontal axis down x direction, so that the arm does not turn about
        # itself on its way; then the T-pose arm is lowered, then turned about its own length.
        swing = np.array([-np.sin(plane), 0.0, np.cos(plane)])
        axes[joint] = np.stack([swing, -_Z, _X]) * mirror
        angles[joint] = (
            posture.get(f'{side}_shoulder_raise', 0.0),
            np.pi / 2,
            posture.get(f'{side}_shoulder_twist', 0.0),
        )
    turns = rotate_about(axes, angles)
    return matrices_to_vectors(turns[:, 0] @ turns[:, 1] @ turns[:, 2])
