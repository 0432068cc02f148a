# SPDX-License-Identifier: Apache-2.0
"""The score of a predictor that never looks."""

import numpy as np
import pytest

from fastmetro_mm.evaluation.constant_baseline import collect_joints, mean_pose
from fastmetro_mm.evaluation.functional import pa_mpjpe


def test_mean_pose_of_similar_copies_is_that_pose():
    rng = np.random.default_rng(0)
    pose = rng.normal(size=(14, 3))
    copies = []
    for _ in range(6):
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        rotation *= np.sign(np.linalg.det(rotation))
        copies.append(rng.uniform(0.5, 2) * pose @ rotation.T + rng.normal(size=3))
    mean = mean_pose(np.stack(copies))
    errors = pa_mpjpe(np.broadcast_to(mean, (6, 14, 3)), np.stack(copies))
    assert errors.max() < 1e-9


def test_mean_pose_beats_any_single_pose_of_the_set():
    joints = np.random.default_rng(1).normal(size=(40, 14, 3))
    mean = np.broadcast_to(mean_pose(joints), joints.shape)
    single = np.broadcast_to(joints[0], joints.shape)
    assert pa_mpjpe(mean, joints).mean() < pa_mpjpe(single, joints).mean()


def test_samples_without_3d_labels_do_not_count():
    label = np.arange(24 * 4, dtype=np.float32).reshape(24, 4)
    samples = [dict(has_3d=1.0, joints_3d=label), dict(has_3d=0.0, joints_3d=label * 0)]
    joints = collect_joints(samples)
    assert joints.shape == (1, 14, 3)
    np.testing.assert_array_equal(joints[0, 0], label[0, :3])  # R_Ankle is first in both sets
    with pytest.raises(ValueError, match='no sample'):
        collect_joints(samples[1:])
