# SPDX-License-Identifier: Apache-2.0
"""Flip testing: the mirrored image gives the mirrored result."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS

from fastmetro_mm.body.joint_sets import J14_FLIP
from fastmetro_mm.body.mesh_body import build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from fastmetro_mm.models.flip_test import FlipTest
from fastmetro_mm.structures import MeshDataSample

SIZE = 64
SIGN = np.array([-1, 1, 1], np.float32)


def build(body='open_body', flip_test=True, **changes):
    hand = body == 'open_hand'
    torch.manual_seed(0)
    model = MODELS.build({**dict(
        type='TopdownMeshEstimator', body=dict(name=body),
        backbone=dict(type='ResNet', depth=18),
        neck=dict(type='FastMETRONeck', in_channels=512, num_joints=21 if hand else 14,
                  embed_dims=(32, 16), feedforward_dims=(64, 32), num_layers=1, num_heads=2,
                  feature_size=(2, 2)),
        head=dict(type='FastMETROHead', in_channels=16),
        test_cfg=dict(flip_test=flip_test)), **changes})  # fmt: skip
    model.init_weights()
    return model.eval()


def predict(model, images):
    samples = []
    for _ in images:
        sample = MeshDataSample()
        sample.set_metainfo(dict(input_size=(SIZE, SIZE), crop_to_image=np.eye(2, 3)))
        sample.gt_instances = InstanceData(
            bboxes=np.zeros((1, 4), np.float32), bbox_scores=np.ones(1, np.float32)
        )
        samples.append(sample)
    with torch.no_grad():
        return [sample.pred_instances for sample in model.predict(images, samples)]


@pytest.fixture
def images():
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def assert_mirrored(one, other, vertices, joints, atol=1e-5):
    np.testing.assert_allclose(other.vertices, one.vertices[:, vertices] * SIGN, atol=atol)
    np.testing.assert_allclose(other.joints_3d, one.joints_3d[:, joints] * SIGN, atol=atol)
    np.testing.assert_allclose(other.camera, one.camera * [1, -1, 1], atol=atol)
    across = one.keypoints[:, joints] * [-1, 1] + [SIZE, 0]
    np.testing.assert_allclose(other.keypoints, across, atol=1e-2)


@pytest.mark.parametrize('body', ['open_body', 'open_hand'])
def test_mirrored_image_gives_the_mirrored_mesh(images, body):
    model = build(body)
    vertices, joints = model.flip_test.vertices.numpy(), model.flip_test.joints.tolist()
    assert joints == (list(J14_FLIP) if body == 'open_body' else list(range(21)))
    for one, other in zip(predict(model, images), predict(model, images.flip(-1)), strict=True):
        assert_mirrored(one, other, vertices, joints)
    plain = build(body, flip_test=False)
    first, second = predict(plain, images)[0], predict(plain, images.flip(-1))[0]
    with pytest.raises(AssertionError):
        assert_mirrored(first, second, vertices, joints)
    averaged = (first.vertices + second.vertices[:, vertices] * SIGN) / 2
    np.testing.assert_allclose(predict(model, images)[0].vertices, averaged, atol=1e-5)


def test_smpl_parameters_are_mirrored_too(images):
    model = build(smpl_head=dict(type='SMPLRegressorHead', hidden_dim=32))
    one, other = predict(model, images)[0], predict(model, images.flip(-1))[0]
    rotmat = [
        torch.from_numpy(np.concatenate((p.global_orient[:, None], p.body_pose), axis=1))
        for p in (one, other)
    ]
    torch.testing.assert_close(
        rotmat[1], model.flip_test.mirror_rotations(rotmat[0]), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(torch.linalg.det(rotmat[0]), torch.ones(1, 24), atol=1e-4, rtol=0)
    np.testing.assert_allclose(other.betas, one.betas, atol=1e-5)
    vertices = model.flip_test.vertices.numpy()
    np.testing.assert_allclose(
        other.smpl_vertices, one.smpl_vertices[:, vertices] * SIGN, atol=2e-3
    )


def test_mirrored_rotations_pose_the_mirrored_body():
    body = build_body('open_body')
    flip = FlipTest(body)
    pose = 0.4 * torch.randn(1, 24, 3, generator=torch.Generator().manual_seed(2))
    rotmat, betas = axis_angle_to_rotmat(pose), torch.zeros(1, 10)
    mesh = body.pose(rotmat, betas).vertices
    mirrored = body.pose(flip.mirror_rotations(rotmat), betas).vertices
    expected = mesh[:, flip.vertices] * flip.sign
    # the skinning weights of both sides were made one by one: they agree to a millimetre
    assert (mirrored - expected).norm(dim=-1).max() < 2e-3


def test_parametric_mesh_is_posed_again_and_not_averaged(images):
    model = build(neck=dict(type='FastMETRONeck', in_channels=512, num_joints=24,
                            embed_dims=(32, 16), feedforward_dims=(64, 32), num_layers=1,
                            num_heads=2, feature_size=(2, 2)),
                  head=dict(type='ParametricMeshHead', in_channels=16))  # fmt: skip
    one, other = predict(model, images)[0], predict(model, images.flip(-1))[0]
    vertices, joints = model.flip_test.vertices.numpy(), model.flip_test.joints.tolist()
    assert_mirrored(one, other, vertices, joints, atol=2e-3)


def test_settings_that_would_change_nothing_are_refused():
    with pytest.raises(ConfigError, match='flip_mode, shift_heatmap would change'):
        build(test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True))
    assert build(test_cfg=dict(output_heatmaps=False)).flip_test is None
