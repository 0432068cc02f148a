# SPDX-License-Identifier: Apache-2.0
"""Gestures of the hand: fingers close towards the palm, inside their limits."""

import numpy as np
from scipy.spatial.transform import Rotation

from fastmetro_mm.synthetic.hand_poses import BEND_LIMITS, SPREAD_LIMIT, finger_axes, plan_hand

FINGERS = {'index': 1, 'middle': 4, 'pinky': 7, 'ring': 10}


def absolute(plan, figure) -> np.ndarray:
    return (plan.pose[3:] + figure.hands_mean).reshape(15, 3)


def test_bends_and_spreads_stay_inside_the_limits(hand_studio):
    figure = hand_studio.figure
    axes = finger_axes(figure.rest_keypoints)
    for seed in range(150):
        pose = absolute(plan_hand(np.random.default_rng(seed), figure), figure)
        for name, joint in FINGERS.items():
            for place in range(1, 3):
                lo, hi = BEND_LIMITS['finger'][place]
                bend = pose[joint - 1 + place] @ axes[name].bend[place]
                assert lo - 1e-5 <= bend <= hi + 1e-5
            turn = Rotation.from_rotvec(pose[joint - 1])
            lo, hi = BEND_LIMITS['finger'][0]
            assert turn.magnitude() <= np.hypot(hi, SPREAD_LIMIT) + 1e-5


def test_mean_pose_bends_the_fingers_towards_the_same_side(hand_studio):
    """The mean pose comes with the model; it says independently where the palm is."""
    figure = hand_studio.figure
    axes = finger_axes(figure.rest_keypoints)
    mean = figure.hands_mean.reshape(15, 3)
    for name, joint in FINGERS.items():
        assert (mean[joint - 1 : joint + 2] * axes[name].bend).sum() > 0.2


def test_fist_brings_the_fingertips_to_the_wrist(hand_studio):
    figure = hand_studio.figure
    reach = {'open': [], 'fist': []}
    for seed in range(200):
        plan = plan_hand(np.random.default_rng(seed), figure)
        if plan.family in reach:
            joints = figure.pose(plan.pose[None], np.zeros((1, 10)))[0].keypoints
            reach[plan.family].append(np.linalg.norm(joints[12] - joints[0]))
    assert max(reach['fist']) < 0.75 * min(reach['open'])


def test_forearm_never_covers_the_hand(hand_studio):
    figure = hand_studio.figure
    forearm = figure.rest_keypoints[0] - figure.rest_keypoints[9]
    forearm /= np.linalg.norm(forearm)
    for seed in range(100):
        pose = plan_hand(np.random.default_rng(seed), figure).pose
        assert Rotation.from_rotvec(pose[:3]).apply(forearm)[2] > -0.46


def test_studio_hands_show_the_palm_with_the_fingers_up(hand_studio):
    figure = hand_studio.figure
    for seed in range(50):
        pose = plan_hand(np.random.default_rng(seed), figure, facing=True).pose
        wrist, index, middle, pinky = Rotation.from_rotvec(pose[:3]).apply(
            figure.rest_keypoints[[0, 5, 9, 17]]
        )
        assert middle[1] < wrist[1]  # y points down
        # seen from the palm, the index finger of a right hand with fingers up is on the right
        assert index[0] > pinky[0]
        assert np.cross(index - wrist, pinky - wrist)[2] < 0
