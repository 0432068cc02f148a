# SPDX-License-Identifier: Apache-2.0
"""Gestures of the right hand inside the limits of its joints.

The bending axes are found from the joints at rest, so no layout of the rest pose is assumed: a
finger bends about the axis that is square to the finger and lies in the plane of the palm.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastmetro_mm.synthetic.body_sampling import Plan, sample_betas
from fastmetro_mm.synthetic.rotations import matrices_to_vectors, rotate_about

if TYPE_CHECKING:
    from fastmetro_mm.synthetic.figures import Figure

# First joint of every finger in MANO's order of 16 joints, and its first row in the order of 21.
_FINGERS = {'thumb': (13, 1), 'index': (1, 5), 'middle': (4, 9), 'ring': (10, 13), 'pinky': (7, 17)}

BEND_LIMITS = {
    'finger': ((-0.25, 1.50), (0.0, 1.75), (0.0, 1.10)),
    'thumb': ((-0.30, 0.75), (-0.15, 0.90), (-0.20, 1.20)),
}
"""Lowest and highest bend of the three joints of a finger and of the thumb, radians, measured from
the straight hand of the rest pose."""
SPREAD_LIMIT = 0.30
"""Largest sideways turn of a finger at its first joint, radians."""
FACING_TURNS = (0.4, 0.6, 0.6)
"""Largest turns of a hand that faces the camera about the camera's axes, radians."""

# Gesture -> how far each finger is bent (0 straight, 1 in the fist), and share.
_GESTURES: dict[str, tuple[tuple[float, float, float, float, float], float]] = {
    'open': ((0.0, 0.0, 0.0, 0.0, 0.0), 0.18),
    'relaxed': ((0.3, 0.25, 0.32, 0.38, 0.42), 0.20),
    'fist': ((0.8, 0.95, 0.95, 0.95, 0.95), 0.10),
    'pointing': ((0.6, 0.05, 0.9, 0.9, 0.9), 0.10),
    'thumb_up': ((0.0, 0.9, 0.9, 0.9, 0.9), 0.07),
    'victory': ((0.7, 0.0, 0.0, 0.9, 0.9), 0.08),
    'pinch': ((0.55, 0.50, 0.25, 0.2, 0.2), 0.09),
    'grasp': ((0.45, 0.5, 0.5, 0.5, 0.5), 0.12),
    'three': ((0.7, 0.0, 0.0, 0.05, 0.9), 0.06),
}
_FIST = {'finger': (1.25, 1.55, 0.85), 'thumb': (0.45, 0.65, 0.80)}


@dataclass(frozen=True)
class FingerAxes:
    """Axes of one finger at rest."""

    bend: np.ndarray  # (3, 3) unit axes of the three joints; a positive turn closes the finger
    # (3,) unit axis of the first joint; a positive turn goes to the side of the thumb
    spread: np.ndarray


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def finger_axes(keypoints: np.ndarray) -> dict[str, FingerAxes]:
    """Finds the axes of all fingers.

    Args:
        keypoints: (21, 3) joints of the right hand at rest, fingers nearly straight.

    Returns:
        Finger name to axes.
    """
    wrist, index, pinky = keypoints[0], keypoints[5], keypoints[17]
    # For a right hand this points out of the palm.
    palm = _unit(np.cross(index - wrist, pinky - wrist))
    axes = {}
    for name, (_, row) in _FINGERS.items():
        bones = np.diff(keypoints[row : row + 4], axis=0)
        if name == 'thumb':
            # The thumb closes across the palm, towards the root of the ring finger.
            target = keypoints[13] + 0.02 * palm
            normals = [np.cross(bone, target - keypoints[row + i]) for i, bone in enumerate(bones)]
            bend = np.stack([_unit(np.mean([_unit(n) for n in normals], axis=0))] * 3)
        else:
            bend = np.stack([_unit(np.cross(bone, palm)) for bone in bones])
        axes[name] = FingerAxes(bend, -palm)
    return axes


def _sample_view(rng: np.random.Generator, forearm: np.ndarray) -> np.ndarray:
    """An orientation (3,) from anywhere but where the forearm would hide the hand.

    Args:
        rng: Source of randomness.
        forearm: (3,) unit direction from the hand to the elbow at rest.
    """
    while True:
        quaternion = _unit(rng.standard_normal(4))
        angle = 2 * np.arccos(np.clip(quaternion[0], -1, 1))
        angle -= 2 * np.pi * (angle > np.pi)
        axis = _unit(quaternion[1:])
        if (rotate_about(axis, angle) @ forearm)[2] > -0.45:
            return axis * angle


def _sample_facing_view(rng: np.random.Generator, keypoints: np.ndarray) -> np.ndarray:
    """An orientation (3,) with the fingers more or less up and the palm towards the camera.

    Args:
        rng: Source of randomness.
        keypoints: (21, 3) joints of the right hand at rest.
    """
    wrist, index, middle, pinky = keypoints[[0, 5, 9, 17]]
    fingers = _unit(middle - wrist)
    palm = np.cross(index - wrist, pinky - wrist)
    palm = _unit(palm - (palm @ fingers) * fingers)
    at_rest = np.stack([fingers, palm, np.cross(fingers, palm)])
    seen = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    view = seen.T @ at_rest
    for axis, angle in zip(np.eye(3), rng.uniform(-1.0, 1.0, 3) * FACING_TURNS, strict=True):
        view = rotate_about(axis, angle) @ view
    return matrices_to_vectors(view)


def plan_hand(rng: np.random.Generator, figure: 'Figure', facing: bool = False) -> Plan:
    """Draws gesture, view and shape of one right hand.

    Args:
        rng: Source of randomness.
        figure: The hand; its rest joints give the axes, its mean pose is taken off the label.
        facing: Fingers more or less up, palm towards the camera; otherwise from everywhere.

    Returns:
        The plan; the pose is relative to the hand's mean pose.
    """
    names = list(_GESTURES)
    shares = np.array([share for _, share in _GESTURES.values()])
    gesture = str(rng.choice(names, p=shares / shares.sum()))
    wanted = _GESTURES[gesture][0]
    fan = rng.normal(0.0, 0.08) + (0.10 if gesture in ('open', 'victory', 'three') else 0.0)
    absolute = np.zeros((16, 3))
    axes = finger_axes(figure.rest_keypoints)
    for place, (name, (joint, _)) in enumerate(_FINGERS.items()):
        part = 'thumb' if name == 'thumb' else 'finger'
        closed = np.clip(wanted[place] + rng.normal(0.0, 0.10), -0.15, 1.0)
        bends = closed * np.array(_FIST[part]) + rng.normal(0.0, 0.08, 3)
        limits = np.array(BEND_LIMITS[part])
        bends = np.clip(bends, limits[:, 0], limits[:, 1])
        turns = rotate_about(axes[name].bend, bends)
        # Fingers fan out when open and come together in the fist; index and pinky go furthest.
        side = {'thumb': 0.0, 'index': 1.0, 'middle': 0.3, 'ring': -0.4, 'pinky': -1.2}[name]
        spread = (1.0 - max(0.0, closed)) * fan * side + rng.normal(0.0, 0.03)
        spread = float(np.clip(spread, -SPREAD_LIMIT, SPREAD_LIMIT))
        turns[0] = rotate_about(axes[name].spread, spread) @ turns[0]
        absolute[joint : joint + 3] = matrices_to_vectors(turns)
    pose = absolute.reshape(-1)
    pose[3:] -= figure.hands_mean
    if facing:
        pose[:3] = _sample_facing_view(rng, figure.rest_keypoints)
    else:
        pose[:3] = _sample_view(rng, _unit(figure.rest_keypoints[0] - figure.rest_keypoints[9]))
    return Plan(gesture, pose.round(6), sample_betas(rng))
