# SPDX-License-Identifier: Apache-2.0
"""The free model's neck, head and criterion."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from fastmetro_mm.body.joint_sets import SMPL24_PARENTS
from fastmetro_mm.body.mesh_body import build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.rotation import (
    axis_angle_to_rotmat,
    global_rotations,
    local_rotations,
    rotation_6d_to_rotmat,
)
from fastmetro_mm.models.heads import ParametricMeshHead
from fastmetro_mm.models.heads.keypoint_fit import KeypointFit
from fastmetro_mm.models.losses import ParametricBodyLoss
from fastmetro_mm.models.necks import KeypointNeck
from fastmetro_mm.structures import MeshTargets, TokenFeatures


@pytest.fixture(scope='module')
def body():
    return build_body('open_body')


def _pose(count=3, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.4, (count, 24, 3))).float()


def test_six_numbers_are_the_first_two_columns():
    turns = torch.from_numpy(Rotation.random(50, random_state=0).as_matrix())
    six = torch.cat((turns[..., 0], turns[..., 1]), -1)
    torch.testing.assert_close(rotation_6d_to_rotmat(six), turns)
    # lengths do not matter, and of the second column only what is square to the first
    stretched = torch.cat((3 * turns[..., 0], 0.5 * turns[..., 1] + 2 * turns[..., 0]), -1)
    torch.testing.assert_close(rotation_6d_to_rotmat(stretched), turns)


def test_rotations_against_camera_and_parent():
    local = axis_angle_to_rotmat(_pose().double())
    turned = global_rotations(local, SMPL24_PARENTS)
    left_wrist = local[:, 0]
    for joint in (3, 6, 9, 13, 16, 18, 20):
        left_wrist = left_wrist @ local[:, joint]
    torch.testing.assert_close(turned[:, 20], left_wrist)
    torch.testing.assert_close(local_rotations(turned, SMPL24_PARENTS), local)


def _head_that_answers(body, pose, betas):
    """A head whose biases are one pose and shape, whatever the tokens."""
    head = ParametricMeshHead(body, in_channels=8)
    turned = global_rotations(axis_angle_to_rotmat(pose), SMPL24_PARENTS)
    with torch.no_grad():
        head.rotation_weight.zero_()
        head.rotation_bias.copy_(torch.cat((turned[0, :, :, 0], turned[0, :, :, 1]), -1))
        head.shape_predictor.weight.zero_()
        head.shape_predictor.bias.copy_(betas[0])
    return head


def _tokens(count=2, channels=8):
    return TokenFeatures(
        torch.randn(count, channels), torch.randn(count, 24, channels), torch.zeros(count, 0, 8)
    )


def test_mesh_is_the_posed_body(body):
    pose, betas = _pose(1), torch.linspace(-1, 1, 10)[None]
    prediction = _head_that_answers(body, pose, betas)(_tokens())
    vertices, joints = body.centre(body.pose(pose.flatten(1), betas).vertices)
    for got, expected in (
        (prediction.vertices, vertices), (prediction.joints, joints),
        (prediction.rotmat, axis_angle_to_rotmat(pose)), (prediction.betas, betas),
        (prediction.vertices_coarse, body.sampling.down(vertices, 0, 2)),
    ):  # fmt: skip
        torch.testing.assert_close(got, expected.expand_as(got), atol=2e-6, rtol=0)


def _targets(pose, betas, vertices, joints):
    """Labels that a prediction of this mesh, seen by the camera (1, 0, 0), meets exactly."""
    labels = torch.zeros(len(pose), 24, 4)
    labels[..., 3] = 1
    places = torch.zeros(len(pose), 24, 3)
    index = build_body('open_body').label_index
    labels[:, index, :3] = joints
    places[:, index, :2] = joints[..., :2]
    places[:, index, 2] = 1
    ones = torch.ones(len(pose))
    return MeshTargets(
        joints_2d=places, has_smpl=ones, vertices=vertices, joints_3d=labels,
        pose=pose.flatten(1), betas=betas, has_2d=ones, has_3d=ones,
    )  # fmt: skip


def test_criterion_is_zero_at_the_truth_and_ignores_what_has_no_label(body):
    pose, betas = _pose(1), torch.zeros(1, 10)
    prediction = _head_that_answers(body, pose, betas)(_tokens(1))
    prediction.pred_cam = torch.tensor([[1.0, 0.0, 0.0]])
    vertices, joints = body.centre(body.pose(pose.flatten(1), betas).vertices)
    targets = _targets(pose, betas, vertices, joints)
    criterion = ParametricBodyLoss(body)
    terms = criterion(prediction, targets)
    assert set(terms) == {'rotation', 'betas', 'vertices', 'joints_3d', 'joints_2d', 'total'}
    assert float(terms['total']) < 1e-4
    targets.betas = betas + 2  # two units off: mean square 4, weight 0.02
    assert float(criterion(prediction, targets)['total']) == pytest.approx(0.08, abs=1e-4)
    targets.has_smpl = torch.zeros(1)
    assert float(criterion(prediction, targets)['total']) < 1e-4
    with pytest.raises(ConfigError, match='is a hand'):
        ParametricBodyLoss('open_hand')


def test_neck_starts_with_what_key_points_say():
    neck = KeypointNeck(in_channels=16, hidden_dims=32, embed_dims=16, num_heads=2).eval()
    keypoints, grid = torch.rand(2, 17, 3), torch.randn(2, 16, 8, 8)
    alone, both = neck((keypoints,)), neck((keypoints, grid))
    assert alone.joints.shape == (2, 24, 16) and alone.cam_token.shape == (2, 16)
    torch.testing.assert_close(both.joints, alone.joints)
    with torch.no_grad():
        neck.joint_correction.weight.normal_()
    assert not torch.allclose(neck((keypoints, grid)).joints, alone.joints)
    torch.testing.assert_close(neck((keypoints,)).joints, alone.joints)


def test_neck_names_what_does_not_fit():
    neck = KeypointNeck(in_channels=16, hidden_dims=32, embed_dims=16, num_heads=2)
    with pytest.raises(ConfigError, match=r'key points \(B, 17, 3\)'):
        neck((torch.rand(2, 14, 3),))
    with pytest.raises(ConfigError, match=r'neck\.in_channels'):
        neck((torch.rand(2, 17, 3), torch.randn(2, 16, 7, 7)))
    alone = KeypointNeck(in_channels=None, hidden_dims=32, embed_dims=16)
    assert not any('transformer' in name for name in alone.state_dict())
    with pytest.raises(ConfigError, match='without one'):
        alone((torch.rand(2, 17, 3), torch.randn(2, 16, 8, 8)))


def _seen_by(fit, prediction):
    """Where the key points of a prediction lie on the crop, all of them seen."""
    points = fit.regressor(prediction.vertices)
    places = prediction.pred_cam[:, None, :1] * (points[..., :2] + prediction.pred_cam[:, None, 1:])
    return torch.cat((places, torch.ones_like(places[..., :1])), -1)


def test_fit_brings_bones_to_the_key_points_and_leaves_what_lies_there(body):
    betas = torch.zeros(1, 10)
    pose = torch.zeros(1, 24, 3)
    pose[0, 0, 0] = np.pi  # upright, facing the camera
    head = _head_that_answers(body, pose, betas)
    head.fit, head.fit_steps = KeypointFit(body), 4
    head.eval()
    tokens = _tokens(1)
    plain = head(tokens)
    raised = pose.clone()
    raised[0, 16, 2] = 0.35  # the left arm is really a little higher
    truth = _head_that_answers(body, raised, betas)(tokens)
    truth.pred_cam = plain.pred_cam

    tokens.keypoints = _seen_by(head.fit, plain)
    torch.testing.assert_close(head(tokens).vertices, plain.vertices, atol=1e-4, rtol=0)

    tokens.keypoints = _seen_by(head.fit, truth)
    wrist = 11  # of the 14 joints
    before = float((plain.joints - truth.joints)[0, wrist].norm())
    after = float((head(tokens).joints - truth.joints)[0, wrist].norm())
    assert before > 0.15 and after < 0.3 * before
    tokens.keypoints[0, :, 2] = 0  # nobody has seen anything
    torch.testing.assert_close(head(tokens).vertices, plain.vertices, atol=1e-4, rtol=0)
    head.train()  # training sees what the tokens say
    torch.testing.assert_close(head(tokens).vertices, plain.vertices)


def test_fit_does_not_follow_a_wrong_key_point(body):
    pose, betas = torch.zeros(1, 24, 3), torch.zeros(1, 10)
    pose[0, 0, 0] = np.pi
    head = _head_that_answers(body, pose, betas)
    head.fit, head.fit_steps = KeypointFit(body), 2
    head.eval()
    tokens = _tokens(1)
    plain = head(tokens)
    tokens.keypoints = _seen_by(head.fit, plain)
    tokens.keypoints[0, 9, :2] += torch.tensor([-1.2, 0.9])  # a wrist at the other end of the crop
    moved = (head(tokens).joints - plain.joints).norm(dim=-1)
    assert float(moved.max()) < 0.05
    with pytest.raises(ConfigError, match='is a hand'):
        KeypointFit(build_body('open_hand'))
