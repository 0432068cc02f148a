# SPDX-License-Identifier: Apache-2.0
"""Bring people from MakeHuman's A-pose to SMPL's T-pose with the 24-joint skeleton."""

import numpy as np
from scipy.spatial.transform import Rotation

from projects.open_body.skeleton import BODY_JOINTS, BODY_PARENTS

# Ankles stand this much further out than the hips (metres); straight legs, slightly apart.
_STANCE = 0.03
# Raising an arm to the horizontal lifts the collar bone too; share of the lift in radians.
_COLLAR_LIFT = 0.12


def rotation_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation that turns direction a into direction b, (3, 3)."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis)
    if sine < 1e-12:
        return np.eye(3)
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, a @ b)).as_matrix()


def chain_transforms(
    rotations: np.ndarray, joints: np.ndarray, parents: tuple[int, ...] = BODY_PARENTS
) -> tuple[np.ndarray, np.ndarray]:
    """Skinning transforms from world rotations of the joints.

    Args:
        rotations: (J, 3, 3) WORLD rotation of each joint's bone away from the rest pose.
        joints: (J, 3) rest positions.
        parents: parent numbers, -1 for the root.

    Returns:
        transforms (J, 3, 4) to apply to rest points, posed joints (J, 3).
    """
    posed = joints.copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            posed[j] = posed[parent] + rotations[parent] @ (joints[j] - joints[parent])
    shift = posed - np.einsum('jab,jb->ja', rotations, joints)
    return np.concatenate([rotations, shift[:, :, None]], axis=2), posed


def tpose_rotations(joints: np.ndarray, palm_side: dict[str, np.ndarray]) -> np.ndarray:
    """World rotations (24, 3, 3) that take one person's A-pose joints to the T-pose.

    Args:
        joints: (24, 3).
        palm_side: for 'l' and 'r' the direction from the little finger's to the index finger's
            knuckle; in the T-pose it points forward (palm down).
    """
    at = {name: i for i, name in enumerate(BODY_JOINTS)}
    world = np.tile(np.eye(3), (24, 1, 1))
    for side, sign in (('l', 1.0), ('r', -1.0)):

        def joint(name: str, side: str = side) -> int:
            return at[f'{side}_{name}']

        def bone(a: str, b: str, joint=joint) -> np.ndarray:
            return joints[joint(b)] - joints[joint(a)]

        # Legs: turn in the frontal plane only, the foot keeps its direction.
        leg = bone('hip', 'ankle')
        goal = np.array([sign * _STANCE, -np.sqrt(leg[1] ** 2 + leg[0] ** 2 - _STANCE**2), 0.0])
        turn = rotation_between(np.array([leg[0], leg[1], 0.0]), goal)
        world[joint('hip')] = world[joint('knee')] = turn
        # Arms: collar up a little, then each bone horizontal.
        out = np.array([sign, 0.0, 0.0])
        collar = Rotation.from_rotvec([0, 0, sign * _COLLAR_LIFT]).as_matrix()
        upper = rotation_between(bone('shoulder', 'elbow'), out)
        fore = rotation_between(upper @ bone('elbow', 'wrist'), out) @ upper
        hand = rotation_between(fore @ bone('wrist', 'hand'), out) @ fore
        forward = hand @ palm_side[side]
        roll = np.arctan2(-forward[1], forward[2])
        # The roll about +x that brings the knuckle line forward, shared by forearm and hand.
        fore = Rotation.from_rotvec([-roll * 0.5, 0, 0]).as_matrix() @ fore
        hand = Rotation.from_rotvec([-roll, 0, 0]).as_matrix() @ hand
        world[joint('collar')], world[joint('shoulder')] = collar, upper
        world[joint('elbow')] = fore
        world[joint('wrist')] = world[joint('hand')] = hand
    return world


def to_tpose(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, palm_side: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """One person in the T-pose.

    The skin is the inverse of linear blend skinning: skinned back to the A-pose it gives the
    original surface exactly, so lowered arms look as the artists made them.

    Args:
        vertices: (V, 3).
        joints: (24, 3).
        weights: (V, 24).
        palm_side: see :func:`tpose_rotations`.

    Returns:
        vertices (V, 3) and joints (24, 3), pelvis at the origin.
    """
    world = tpose_rotations(joints, palm_side)
    _, posed = chain_transforms(world, joints)
    back, _ = chain_transforms(np.transpose(world, (0, 2, 1)), posed)
    # chain_transforms poses from the root, which does not move, so `back` ends at `joints`.
    blended = np.einsum('vj,jab->vab', weights, back)
    moved = np.linalg.solve(blended[:, :, :3], (vertices - blended[:, :, 3])[:, :, None])[:, :, 0]
    return moved - posed[0], posed - posed[0]
