# SPDX-License-Identifier: Apache-2.0
"""``projects/free_model/lifting/keypoint_people``: what people without images are made of."""

import numpy as np
import torch

from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.geometry.rotation import rotmat_to_axis_angle
from projects.free_model.lifting.keypoint_people import KeypointPeople
from projects.free_model.lifting.small_body import J24_TO_COCO17, SmallBody


def make(natural: float, spread: float, errors: float = 0.0) -> KeypointPeople:
    poses = np.full((1, 24, 3), 0.0, np.float32)
    poses[0, [4, 5], 0] = 2.5  # somebody who crouches
    rows = np.full((1, 17, 3), [errors, 0.0, 0.9], np.float32)
    return KeypointPeople(SmallBody(), poses, rows, 3, natural, spread)


def knees(people: KeypointPeople) -> torch.Tensor:
    pose = people._pose(400)
    return pose[:, [4, 5]].norm(dim=-1)


def test_without_spread_and_motions_poses_stay_as_they_are():
    torch.testing.assert_close(knees(make(0.0, 0.0)), torch.full((400, 2), 2.5))
    assert knees(make(0.0, 1.0)).std() > 0.05


def test_motions_are_those_of_people_on_their_feet():
    bent = knees(make(1.0, 0.0))
    assert bent.mean() < 0.8  # radians
    assert (bent.amax(1) < 0.3).float().mean() > 0.15  # some stand straight
    mixed = knees(make(0.5, 0.0))
    assert 0.4 < (mixed.amin(1) > 2.4).float().mean() < 0.6


def test_key_points_are_those_of_the_label():
    people = make(1.0, 0.3)
    keypoints, labels = people.batch(200)
    sure = (labels.weights[:, J24_TO_COCO17] == 1) & (keypoints[..., 2] > 0.85)
    off = (keypoints[..., :2] - labels.places[:, J24_TO_COCO17]).norm(dim=-1)[sure]
    assert sure.float().mean() > 0.5 and off.median() < 0.03
    assert torch.isfinite(rotmat_to_axis_angle(labels.turned)).all()
    camera = torch.tensor([[0.9, 0.0, 0.0]]).expand(200, 3)
    assert torch.isfinite(weak_perspective_project(labels.joints, camera)).all()
