# SPDX-License-Identifier: Apache-2.0
"""Anatomical angles: directions, mirror symmetry and limits, read back from the rotations."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fastmetro_mm.body.joint_sets import SMPL24_FLIP
from fastmetro_mm.synthetic.anatomy import LIMITS, clamp_posture, posture_to_pose
from fastmetro_mm.synthetic.pose_families import FAMILIES, mirror_posture, sample_posture

DOWN, FRONT, LEFT = -np.eye(3)[1], np.eye(3)[2], np.eye(3)[0]


def turned(posture: dict, joint: int, vector: np.ndarray) -> np.ndarray:
    """What the joint's own rotation makes of a rest-pose direction."""
    return Rotation.from_rotvec(posture_to_pose(posture)[joint]).apply(vector)


@pytest.mark.parametrize(
    'posture, joint, bone, expected',
    [
        ({'l_hip_flex': np.pi / 2}, 1, DOWN, FRONT),
        ({'r_hip_flex': np.pi / 2}, 2, DOWN, FRONT),
        ({'l_hip_spread': np.pi / 2}, 1, DOWN, LEFT),
        ({'r_hip_spread': np.pi / 2}, 2, DOWN, -LEFT),
        ({'l_knee_flex': np.pi / 2}, 4, DOWN, -FRONT),
        ({'l_ankle_lift': np.pi / 2}, 7, FRONT, -DOWN),
        ({'spine1_bend': np.pi / 2}, 3, -DOWN, FRONT),
        ({}, 16, LEFT, DOWN),
        ({}, 17, -LEFT, DOWN),
        ({'l_shoulder_raise': np.pi / 2}, 16, LEFT, LEFT),
        ({'r_shoulder_raise': np.pi / 2, 'r_shoulder_plane': np.pi / 2}, 17, -LEFT, FRONT),
        ({'l_shoulder_raise': np.pi / 2, 'l_shoulder_plane': np.pi / 2}, 16, LEFT, FRONT),
        ({'l_elbow_flex': np.pi / 2}, 18, LEFT, FRONT),
        ({'r_elbow_flex': np.pi / 2}, 19, -LEFT, FRONT),
    ],
)
def test_angles_turn_bones_where_anatomy_says(posture, joint, bone, expected):
    np.testing.assert_allclose(turned(posture, joint, bone), expected, atol=1e-12)


def test_clamp_brings_every_angle_to_its_limit():
    top = clamp_posture(dict.fromkeys(LIMITS, 10.0))
    low = clamp_posture(dict.fromkeys(LIMITS, -10.0))
    assert all(top[name] == hi for name, (_, hi) in LIMITS.items())
    assert all(low[name] == lo for name, (lo, _) in LIMITS.items())
    with pytest.raises(KeyError):
        clamp_posture({'tail_wag': 1.0})


def test_arm_behind_the_body_is_not_lifted_high():
    posture = clamp_posture({'l_shoulder_raise': 2.5, 'l_shoulder_plane': -1.0})
    assert posture['l_shoulder_raise'] == pytest.approx(0.9)


@pytest.mark.parametrize('family', FAMILIES)
def test_rotations_of_every_family_stay_inside_the_limits(family):
    """The axis-angle vectors are taken apart again, independently of how they were composed."""
    chains = {  # joint: Euler order, sign of each angle, names
        1: ('XZY', (-1, 1, 1), ('l_hip_flex', 'l_hip_spread', 'l_hip_twist')),
        2: ('XZY', (-1, -1, -1), ('r_hip_flex', 'r_hip_spread', 'r_hip_twist')),
        3: ('XZY', (1, 1, -1), ('spine1_bend', 'spine1_lean', 'spine1_turn')),
        4: ('XYZ', (1, 1, 1), ('l_knee_flex', 'l_knee_twist', None)),
        5: ('XYZ', (1, -1, 1), ('r_knee_flex', 'r_knee_twist', None)),
        7: ('XZY', (-1, 1, 1), ('l_ankle_lift', 'l_ankle_roll', None)),
        12: ('XZY', (1, 1, -1), ('neck_bend', 'neck_lean', 'neck_turn')),
        14: ('ZYX', (-1, 1, 1), ('r_collar_lift', 'r_collar_forward', None)),
        18: ('YXZ', (-1, 1, 1), ('l_elbow_flex', 'l_elbow_roll', None)),
        19: ('YXZ', (1, 1, 1), ('r_elbow_flex', 'r_elbow_roll', None)),
        20: ('ZYX', (-1, -1, 1), ('l_wrist_flex', 'l_wrist_side', None)),
    }
    for seed in range(60):
        _, posture = sample_posture(np.random.default_rng(seed), family)
        pose = posture_to_pose(posture)
        for joint, (order, signs, names) in chains.items():
            angles = Rotation.from_rotvec(pose[joint]).as_euler(order) * signs
            for angle, name in zip(angles, names, strict=True):
                lo, hi = LIMITS[name] if name else (0.0, 0.0)
                assert lo - 1e-6 <= angle <= hi + 1e-6, (name, angle)
        for joint, bone in ((16, LEFT), (17, -LEFT)):
            arm = Rotation.from_rotvec(pose[joint]).apply(bone)
            assert np.arccos(np.clip(-arm[1], -1, 1)) <= 2.95 + 1e-6


def test_mirrored_posture_gives_mirrored_pose():
    for seed in range(20):
        _, posture = sample_posture(np.random.default_rng(seed))
        mirrored = posture_to_pose(mirror_posture(posture))
        expected = posture_to_pose(posture)[list(SMPL24_FLIP)] * (1, -1, -1)
        np.testing.assert_allclose(mirrored, expected, atol=1e-9)
