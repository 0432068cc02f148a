# SPDX-License-Identifier: Apache-2.0
"""``projects/fit_to_keypoints``: the prior, the fit, and rows that the data set class reads."""

import json

import cv2
import numpy as np
import pytest
import torch

from fastmetro_mm.body.joint_sets import SMPL24
from fastmetro_mm.datasets import MeshTSVDataset
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from fastmetro_mm.synthetic.anatomy import posture_to_pose
from fastmetro_mm.synthetic.crops import draw_crops
from fastmetro_mm.synthetic.scene import Studio
from projects.fit_to_keypoints.__main__ import main
from projects.fit_to_keypoints.fitting import Bodies, fit_bodies, project, size_on_image
from projects.fit_to_keypoints.prior import PosePrior, beyond_limits, mirrored
from projects.free_model.lifting.small_body import J24_TO_COCO17, SmallBody

UPRIGHT = [np.pi, 0.0, 0.0]


@pytest.fixture(scope='module')
def body():
    return SmallBody()


def posture(**angles: float) -> torch.Tensor:
    pose = posture_to_pose(angles)
    pose[0] = UPRIGHT
    return axis_angle_to_rotmat(torch.from_numpy(pose).float())[None]


def test_knees_and_elbows_bend_one_way():
    for side in ('l', 'r'):
        assert (
            beyond_limits(posture(**{f'{side}_knee_flex': 1.0, f'{side}_elbow_flex': 2.0})) < 1e-6
        )
        # 0.4 rad the wrong way
        wrong = posture(**{f'{side}_knee_flex': -0.4})
        assert float(beyond_limits(wrong)) == pytest.approx(0.16, abs=1e-4)
        wrong = posture(**{f'{side}_elbow_flex': -0.3, f'{side}_knee_twist': 0.35})
        assert float(beyond_limits(wrong)) == pytest.approx(0.09 + 0.04, abs=1e-4)


def test_prior_knows_usual_poses():
    prior = PosePrior.of_library()
    usual = prior(posture(l_elbow_flex=0.3, r_elbow_flex=0.3))
    odd = prior(posture(l_knee_flex=-1.5, spine1_bend=-1.5, head_turn=2.5))
    assert float(usual) < 1.5 < 5 < float(odd)
    pose = torch.zeros(1, 24, 3)
    pose[0, SMPL24.index('L_Knee')] = torch.tensor([1.0, 2.0, 3.0])
    other = mirrored(pose)
    assert other[0, SMPL24.index('R_Knee')].tolist() == [1.0, -2.0, -3.0]
    assert other.abs().sum() == 6


@pytest.fixture(scope='module')
def case(body):
    """A known body before a known camera, and a start with other arms in another place."""
    true = posture(l_shoulder_raise=1.2, r_shoulder_raise=0.4, l_elbow_flex=0.9, r_knee_flex=0.5)
    betas = torch.zeros(1, 10)
    place, intrinsics = torch.tensor([[0.2, 0.1, 4.0]]), torch.eye(3)[None]
    intrinsics[0, :2] = torch.tensor([[500.0, 0, 320], [0, 500, 240]])
    mesh = body(true, betas)
    keypoints = torch.cat((project(mesh.joints, place, intrinsics), torch.ones(1, 24, 1)), -1)
    start = Bodies(
        posture(l_shoulder_raise=0.6, r_shoulder_raise=0.8),
        betas,
        place + torch.tensor([[0.1, 0.1, 0.6]]),
    )
    return mesh, keypoints, intrinsics, start


def test_a_body_moves_onto_its_key_points(body, case):
    mesh, keypoints, intrinsics, start = case
    assert size_on_image(keypoints).item() > 150
    before = body(start.rotmat, start.betas)
    fitted = fit_bodies(body, start, keypoints, intrinsics)
    assert float(fitted.residual) < 0.015
    errors = [float((m.scored - mesh.scored).norm(dim=-1).mean()) for m in (before, fitted.mesh)]
    assert errors[1] < 0.5 * errors[0]
    assert float(beyond_limits(fitted.bodies.rotmat)) < 0.01


def test_wrong_and_unknown_key_points(body, case):
    """One key point far off hardly matters; without any the body stays."""
    _, keypoints, intrinsics, start = case
    wrong = keypoints.clone()
    wrong[0, 6, :2] += 300  # a wrist on somebody else
    nothing = torch.zeros_like(keypoints)
    both = Bodies.cat([start, start])
    fitted = fit_bodies(body, both, torch.cat([wrong, nothing]), intrinsics.repeat(2, 1, 1))
    places = project(fitted.mesh.joints, fitted.bodies.translation, intrinsics.repeat(2, 1, 1))
    off = (places[0] - keypoints[0, :, :2]).norm(dim=-1) / size_on_image(keypoints)
    assert float(off[[0, 1, 4, 5, 7, 8, 9, 10, 11]].max()) < 0.05
    assert torch.equal(fitted.bodies.rotmat[1], start.rotmat[0])
    assert torch.equal(fitted.bodies.translation[1], start.translation[0])


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Two drawn people as a user's photos with COCO key points; the second json row has no box."""
    folder = tmp_path_factory.mktemp('photos')
    people = draw_crops(
        Studio('body', (288, 288), 'photo'), [np.random.default_rng(seed) for seed in (3, 4)]
    )
    content = {'images': [], 'annotations': []}
    for number, (image, marks) in enumerate(zip(people.images, people.keypoints, strict=True)):
        cv2.imwrite(str(folder / f'{number}.jpg'), image[..., ::-1])
        content['images'].append({'id': number, 'file_name': f'{number}.jpg'})
        points = marks[J24_TO_COCO17].copy()
        points[:, 2] *= 2
        content['annotations'].append(
            {'image_id': number, 'bbox': [20, 20, 216, 216], 'keypoints': points.ravel().tolist()}
        )
    content['annotations'].append({'image_id': 1, 'bbox': [0, 0, 9, 9], 'keypoints': [0] * 51})
    (folder / 'people.json').write_text(json.dumps(content))
    return folder


def test_photos_become_labels(photos, tmp_path, capsys):
    main([str(photos), str(photos / 'people.json'), '--out', str(tmp_path), '--worst', '0.2'])
    said = capsys.readouterr().out
    assert '2 fitted bodies, 0 with key points alone' in said
    assert 'left out: 1 (no key point)' in said
    rows = MeshTSVDataset(ann_file=str(tmp_path / 'train.yaml'))
    first = rows.get_data_info(0)
    assert (first['has_smpl'], first['has_3d'], first['has_2d']) == (1, 1, 1)
    assert np.abs(first['pose']).max() > 0.1 and first['joints_2d'][:, 2].sum() > 5
    main([str(photos), str(photos / 'people.json'), '--out', str(tmp_path), '--worst', '1e-9'])
    assert '0 fitted bodies, 2 with key points alone' in capsys.readouterr().out
    assert MeshTSVDataset(ann_file=str(tmp_path / 'train.yaml')).get_data_info(0)['has_smpl'] == 0
