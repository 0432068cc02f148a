# SPDX-License-Identifier: Apache-2.0
"""Carrying motions of other skeletons over to the 24-joint body.

Every joint of ours follows one joint of the other skeleton. Limbs are aligned at rest by the
smallest turn that takes our limb's direction to theirs, so that afterwards both point the same
way; trunk, neck and collars are carried over as they are, because both rest poses stand upright.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from projects.free_model.motions.bvh import Motion

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
# Joint -> the joint that its limb leads to; feet and hands follow the alignment of the limb above.
_LIMB_ENDS = {1: 4, 2: 5, 4: 7, 5: 8, 16: 18, 17: 19, 18: 20, 19: 21}
_LIKE = {7: 4, 8: 5, 10: 4, 11: 5, 20: 18, 21: 19, 22: 18, 23: 19}

# Rows are our joints; names are theirs. None: between its parent and the next named joint.
CMU = (
    'Hips', 'LeftUpLeg', 'RightUpLeg', 'LowerBack', 'LeftLeg', 'RightLeg', 'Spine', 'LeftFoot',
    'RightFoot', 'Spine1', 'LeftToeBase', 'RightToeBase', 'Neck1', 'LeftShoulder', 'RightShoulder',
    'Head', 'LeftArm', 'RightArm', 'LeftForeArm', 'RightForeArm', 'LeftHand', 'RightHand',
    'LeftFingerBase', 'RightFingerBase',
)  # fmt: skip
TOES = (
    'Hips', 'LeftHip', 'RightHip', None, 'LeftKnee', 'RightKnee', 'Ab', 'LeftAnkle', 'RightAnkle',
    'Chest', 'LeftToes', 'RightToes', 'Neck', 'LeftCollar', 'RightCollar', 'Head', 'LeftShoulder',
    'RightShoulder', 'LeftElbow', 'RightElbow', 'LeftWrist', 'RightWrist', 'LeftWrist',
    'RightWrist',
)  # fmt: skip
DEEPMIMIC = (
    'root', 'left_hip', 'right_hip', None, 'left_knee', 'right_knee', None, 'left_ankle',
    'right_ankle', 'chest', 'left_ankle', 'right_ankle', None, 'chest', 'chest', 'neck',
    'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow', 'left_elbow', 'right_elbow',
    'left_elbow', 'right_elbow',
)  # fmt: skip
# Two or three joints of ours that share the turn of one of theirs: rows, from, to.
_SHARED = {TOES: (((3, 6), 0, 6),), DEEPMIMIC: (((3, 6, 9), 0, 9), ((12, 15), 9, 15))}


def _smallest_turn(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis = np.cross(start, end)
    sine, cosine = np.linalg.norm(axis), start @ end
    return Rotation.from_rotvec(axis / max(sine, 1e-12) * np.arctan2(sine, cosine)).as_matrix()


def _their_direction(motion: Motion, names: tuple[str | None, ...], joint: int) -> np.ndarray:
    """Direction of a limb of theirs at rest, our axes."""
    if names is DEEPMIMIC:
        return np.array([0.0, -1.0, 0.0])  # arms and legs hang
    return motion.offsets[motion.names.index(names[_LIMB_ENDS[joint]])]


def retarget(motion: Motion, names: tuple[str | None, ...], rest_joints: np.ndarray) -> np.ndarray:
    """Turns a motion into poses of our body.

    Args:
        motion: What to carry over.
        names: :data:`CMU`, :data:`TOES` or :data:`DEEPMIMIC`.
        rest_joints: (24, 3) joints of our body at rest.

    Returns:
        (T, 24, 3) axis-angle; the root faces z on average of the frame's hips.
    """
    count = len(motion.turns)
    world = np.tile(np.eye(3), (count, 24, 1, 1))
    aligned: dict[int, np.ndarray] = {}
    for joint, end in _LIMB_ENDS.items():
        ours = rest_joints[end] - rest_joints[joint]
        theirs = _their_direction(motion, names, joint)
        aligned[joint] = _smallest_turn(ours, theirs)
    aligned.update({joint: aligned[other] for joint, other in _LIKE.items()})
    for joint, name in enumerate(names):
        if name is not None:
            turn = motion.turns[:, motion.names.index(name)]
            world[:, joint] = turn @ aligned.get(joint, np.eye(3))
    for rows, first, last in _SHARED.get(names, ()):
        whole = np.swapaxes(world[:, first], -1, -2) @ world[:, last]
        vector = Rotation.from_matrix(whole).as_rotvec()
        for step, row in enumerate(rows, start=1):
            part = Rotation.from_rotvec(vector * (step / len(rows))).as_matrix()
            world[:, row] = world[:, first] @ part
    # Without its heading a pose can be seen from any side; which way the hips face is the heading.
    left = world[:, 0, :, 0]
    heading = np.arctan2(-left[:, 2], left[:, 0])
    back = Rotation.from_rotvec(-heading[:, None] * (0.0, 1.0, 0.0)).as_matrix()
    world = back[:, None] @ world
    local = world.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            local[:, joint] = np.swapaxes(world[:, parent], -1, -2) @ world[:, joint]
    return Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec().reshape(count, 24, 3)
