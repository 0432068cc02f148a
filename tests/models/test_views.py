# SPDX-License-Identifier: Apache-2.0
"""Views of a crop: brought back they say the same, and their mean is theirs."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from scipy.spatial.transform import Rotation

from fastmetro_mm.body.joint_sets import J14_FLIP
from fastmetro_mm.body.mesh_body import build_body
from fastmetro_mm.datasets.transforms.augment import flip_pose, rotate_joints, rotate_pose
from fastmetro_mm.datasets.transforms.crop_geometry import CropWindow, crop_to_image_matrix
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.camera import orthographic_from_weak
from fastmetro_mm.geometry.rotation import (
    axis_angle_to_rotmat,
    global_rotations,
    mean_rotation,
    rotmat_to_axis_angle,
)
from fastmetro_mm.models.tta_model import MeshTTAModel
from fastmetro_mm.models.views import ViewMerger, mean_pred_cam
from fastmetro_mm.structures import MeshDataSample, MeshPrediction

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
    np.testing.assert_allclose(other.pred_cam, one.pred_cam * [1, -1, 1], atol=atol)
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
    flip = ViewMerger(body)
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


WINDOW = CropWindow(40, -10, 200, 150)
VIEWS = [(False, 0.0, 1.0), (True, 0.0, 1.0), (False, 30.0, 1.2), (True, -75.0, 0.8)]


def crop_map(flip, rot, scale):
    """Crop to image of a view; its window is larger by ``scale``."""
    side, middle = WINDOW.width * scale, (120.0, 70.0)
    left, top = (round(value - side / 2) for value in middle)
    window = CropWindow(left, top, left + round(side), top + round(side))
    return crop_to_image_matrix(window, SIZE, rot, flip).astype(np.float32)


def seen_in(view, body, pose, betas):
    """What a network without faults says about a view of a posed body: labels as augmented."""
    flip, rot, scale = view
    turned = rotate_pose(pose, rot)
    turned = flip_pose(turned) if flip else turned
    rotmat = axis_angle_to_rotmat(torch.from_numpy(turned).view(1, -1, 3))
    vertices, joints = body.centre(body.pose(rotmat, betas).vertices)
    # the camera that sees the root at the same place of the image, as large
    crop = crop_map(*view)
    root = np.linalg.solve(crop[:, :2], np.array([115.0, 80.0]) - crop[:, 2]) / (SIZE / 2) - 1
    zoom = 1.1 / scale
    camera = torch.tensor([[zoom, *(root / zoom)]], dtype=torch.float32)
    return MeshPrediction(
        pred_cam=camera, joints=joints, vertices_coarse=vertices, vertices_mid=vertices,
        vertices=vertices, rotmat=rotmat, betas=betas,
    )  # fmt: skip


def test_views_of_a_body_come_back_to_the_same_body():
    body = build_body('open_body')
    merger = ViewMerger(body)
    pose = np.random.default_rng(3).normal(0, 0.3, 72).astype(np.float32)
    betas = torch.zeros(1, 10)
    truth = seen_in(VIEWS[0], body, pose, betas)
    back = []
    for view in VIEWS:
        found = seen_in(view, body, pose, betas)
        back.append(merger.back(found, torch.tensor([view[0]]), torch.tensor([view[1]])))
        # the skinning weights of both sides were made one by one: they agree to 2 mm
        assert (back[-1].vertices - truth.vertices).norm(dim=-1).max() < 2e-3
        assert (back[-1].joints - truth.joints).norm(dim=-1).max() < 2e-3
        torch.testing.assert_close(back[-1].rotmat, truth.rotmat, atol=2e-5, rtol=0)
    merged = merger(back, truth.pred_cam, posed=True)
    torch.testing.assert_close(merged.rotmat, truth.rotmat, atol=2e-5, rtol=0)
    assert (merged.vertices - truth.vertices).norm(dim=-1).max() < 1e-4


def test_joints_are_mirrored_back_and_turned_back():
    joints = np.random.default_rng(4).normal(0, 0.5, (14, 4)).astype(np.float32)
    turned = rotate_joints(joints, 40.0)  # as labels are, then mirrored
    seen = torch.from_numpy(turned[None, list(J14_FLIP), :3] * SIGN)
    nothing = MeshPrediction(torch.zeros(1, 3), seen, seen, torch.zeros(1, 6890, 3))
    merger = ViewMerger(build_body('open_body'))
    back = merger.back(nothing, torch.tensor([True]), torch.tensor([40.0]))
    np.testing.assert_allclose(back.joints[0], joints[:, :3], atol=1e-6)


def test_cameras_of_views_meet_in_the_image():
    body = build_body('open_body')
    pose, betas = np.zeros(72, np.float32), torch.zeros(1, 10)
    cameras = [seen_in(view, body, pose, betas).pred_cam for view in VIEWS]
    crops = [torch.from_numpy(crop_map(*view))[None] for view in VIEWS]
    for camera, crop in zip(cameras, crops, strict=True):  # all see the root where it is
        seen = orthographic_from_weak(camera[0].numpy(), crop[0].numpy(), SIZE, (300, 300))
        np.testing.assert_allclose(seen.matrix[:, 2], [115, 80], atol=1e-3)
    torch.testing.assert_close(
        mean_pred_cam(cameras, crops, SIZE), cameras[0], atol=1e-5, rtol=1e-5
    )
    # twice as large in one of two views: one and a half times on average
    larger = cameras[0] * torch.tensor([2.0, 0.5, 0.5])
    mean = mean_pred_cam([cameras[0], larger], [crops[0], crops[0]], SIZE)
    torch.testing.assert_close(mean[:, 0], 1.5 * cameras[0][:, 0])


def test_mean_rotation_is_the_nearest_one():
    turns = Rotation.random(30, random_state=5)
    several = torch.from_numpy(turns.as_matrix()).view(3, 10, 3, 3)
    found = mean_rotation(several).numpy()
    for number in range(10):
        expected = turns[[number, number + 10, number + 20]].mean().as_matrix()
        np.testing.assert_allclose(found[number], expected, atol=1e-5)
    halves = Rotation.from_euler('z', [[0], [90]], degrees=True).as_matrix()
    half = rotmat_to_axis_angle(mean_rotation(torch.from_numpy(halves)))
    np.testing.assert_allclose(half, [0, 0, np.pi / 4], atol=1e-6)


class Oracle(torch.nn.Module):
    """Says of every view what is in it, with the error that it is told."""

    def __init__(self, model, answers):
        super().__init__()
        self.model, self.answers, self.body, self.head = model, answers, model.body, model.head
        self.poses, self.results = (lambda _: True), model.results

    def data_preprocessor(self, data, training):
        assert not training
        return data

    def infer(self, inputs, flip_test):
        assert not flip_test  # the views are mirrored already
        return self.answers[int(inputs[0].flatten()[0])]


def tta_data(views):
    data = []
    for number, (flip, rot, scale) in enumerate(views):
        sample = MeshDataSample()
        sample.set_metainfo(dict(input_size=(SIZE, SIZE), flip=flip, rot=rot,
                                 crop_to_image=crop_map(flip, rot, scale)))  # fmt: skip
        sample.gt_instances = InstanceData(
            bboxes=np.zeros((1, 4), np.float32), bbox_scores=np.ones(1, np.float32)
        )
        data.append((torch.full((1,), float(number)), sample))
    return pseudo_collate([dict(inputs=[one[0] for one in data],
                                data_samples=[one[1] for one in data])])  # fmt: skip


def test_tta_model_averages_views_and_says_how_far_they_lie_apart():
    model = build(neck=dict(type='FastMETRONeck', in_channels=512, num_joints=24,
                            embed_dims=(32, 16), feedforward_dims=(64, 32), num_layers=1,
                            num_heads=2, feature_size=(2, 2)), flip_test=False,
                  head=dict(type='ParametricMeshHead', in_channels=16))  # fmt: skip
    pose = np.random.default_rng(3).normal(0, 0.3, 72).astype(np.float32)
    pose[:3] = 0.1
    betas = torch.zeros(1, 10)
    answers = [seen_in(view, model.body, pose, betas) for view in VIEWS]
    truth = answers[0]
    sample = MeshTTAModel(Oracle(model, answers)).test_step(tta_data(VIEWS))[0]
    found = sample.pred_instances
    np.testing.assert_allclose(found.vertices, truth.vertices, atol=1e-4)
    np.testing.assert_allclose(found.pred_cam, truth.pred_cam, atol=1e-5)
    assert sample.rot == 0 and not sample.flip
    assert found.joint_spread.shape == (1, 14) and found.joint_spread.max() < 2e-3
    joints = truth.joints[0, :, :2] + truth.pred_cam[0, 1:]
    pixels = (truth.pred_cam[0, 0] * joints + 1).numpy() * SIZE / 2
    crop = crop_map(*VIEWS[0])
    np.testing.assert_allclose(found.keypoints[0], pixels @ crop[:, :2].T + crop[:, 2], atol=1e-2)

    # one elbow is bent by 0.4 against 0: the mean bends it by 0.2, bones keep their lengths
    bent = pose.copy()
    straight = pose.copy()
    bent[19 * 3 : 20 * 3], straight[19 * 3 : 20 * 3] = (0, 0.4, 0), (0, 0, 0)
    answers = [seen_in(VIEWS[0], model.body, one, betas) for one in (straight, bent)]
    data = tta_data([VIEWS[0], VIEWS[0]])
    found = MeshTTAModel(Oracle(model, answers)).test_step(data)[0].pred_instances
    angle = rotmat_to_axis_angle(torch.from_numpy(found.body_pose[0, 18]))
    np.testing.assert_allclose(angle, [0, 0.2, 0], atol=1e-5)
    wrist, elbow = found.joints_3d[0, 6], found.joints_3d[0, 7]
    whole = answers[0].joints[0, 6] - answers[0].joints[0, 7]
    assert abs(np.linalg.norm(wrist - elbow) - whole.norm()) < 2e-3
    half = np.linalg.norm(answers[0].joints[0, 6] - answers[1].joints[0, 6]) / 2
    np.testing.assert_allclose(found.joint_spread[0, 6], half, rtol=1e-4)
    assert found.joint_spread[0, [0, 5, 11]].max() < 1e-6


def test_rotations_are_averaged_against_the_camera():
    body = build_body('open_body')
    pose = torch.zeros(2, 24, 3)
    pose[1, 16, 2], pose[1, 18, 2] = 0.6, -0.6  # the shoulder turns, the elbow turns back
    rotmat = axis_angle_to_rotmat(pose)
    parts = [MeshPrediction(torch.zeros(1, 3), *(torch.zeros(1, 14, 3),) * 2,
                            torch.zeros(1, 6890, 3), rotmat=one[None], betas=torch.zeros(1, 10))
             for one in rotmat]  # fmt: skip
    merged = ViewMerger(body)(parts, torch.zeros(1, 3), posed=True).rotmat
    against = global_rotations(merged, body.require_model().parents)[0]
    torch.testing.assert_close(against[18], torch.eye(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        rotmat_to_axis_angle(against[16]), torch.tensor([0, 0, 0.3]), atol=1e-6, rtol=0
    )


def test_first_view_must_be_the_image_as_it_is():
    model = build(flip_test=False)
    with pytest.raises(ConfigError, match='first view is mirrored or turned'):
        MeshTTAModel(Oracle(model, [None])).test_step(tta_data(VIEWS[1:]))
