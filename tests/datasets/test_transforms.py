# SPDX-License-Identifier: Apache-2.0
"""Crop geometry, augmentation of labels, loading and packing."""

import cv2
import numpy as np
import pytest
import torch
from mmpose.models import PoseDataPreprocessor

from fastmetro_mm.body.joint_sets import J24_TO_J14
from fastmetro_mm.datasets.transforms import (
    BoxToCenterScale,
    LoadMeshImage,
    MeshAugment,
    MeshCrop,
    PackMeshInputs,
)
from fastmetro_mm.datasets.transforms.augment import flip_joints, flip_pose, rotate_pose
from fastmetro_mm.datasets.transforms.crop_geometry import apply_affine, crop_window, invert_affine
from fastmetro_mm.datasets.transforms.loading import decode_image
from fastmetro_mm.errors import DataRowError

CASES = [
    dict(flip=0, rot=0.0, scale=1.0),
    dict(flip=1, rot=0.0, scale=0.8),
    dict(flip=0, rot=33.0, scale=1.1),
    dict(flip=1, rot=-58.0, scale=1.25),
]


def _blob_image(points: np.ndarray, shape=(500, 640)) -> np.ndarray:
    """Image with a smooth blob at each continuous position."""
    ys, xs = np.mgrid[: shape[0], : shape[1]] + 0.5
    image = np.zeros(shape)
    for x, y in points:
        image += np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 9.0**2))
    return np.repeat((image * 250).clip(0, 255).astype(np.uint8)[..., None], 3, 2)


def _centroid(crop: np.ndarray) -> np.ndarray:
    ys, xs = np.mgrid[: crop.shape[0], : crop.shape[1]] + 0.5
    weight = crop[..., 0].astype(float)
    return np.array([(xs * weight).sum(), (ys * weight).sum()]) / weight.sum()


@pytest.mark.parametrize('mode', ['official', 'fast'])
@pytest.mark.parametrize('size', [224, 128])
@pytest.mark.parametrize('case', CASES)
def test_crop_to_image_follows_the_pixels(mode, size, case):
    point = np.array([352.3, 201.7])
    center, scale = np.array([310.4, 240.9]), 1.7
    joints = np.zeros((24, 3))
    joints[:] = (*point, 1)
    results = dict(img=_blob_image([point]), center=center, scale=scale, joints_2d=joints)
    results = MeshCrop(size, mode)(MeshAugment(fixed=case)(results))
    assert results['img'].shape == (size, size, 3) and results['img'].dtype == np.uint8
    found = _centroid(results['img'])
    matrix = results['crop_to_image'].astype(np.float64)
    np.testing.assert_allclose(apply_affine(found[None], matrix)[0], point, atol=0.15)
    np.testing.assert_allclose(
        apply_affine(point[None], invert_affine(matrix))[0], found, atol=0.15
    )
    from_label = (results['joints_2d'][0, :2] + 1) / 2 * size
    tolerance = 0.1 if mode == 'fast' else 1.6  # the official ones are truncated to pixels
    np.testing.assert_allclose(from_label, found, atol=tolerance)


def test_framing_is_the_same_for_both_modes_and_truncated():
    center, scale = np.array([112.0, 112.0]), 0.9
    assert tuple(crop_window(center, scale, 224)) == (22, 22, 202, 202)
    assert tuple(crop_window(np.array([50.7, 60.2]), 0.6, 224)) == (-9, 0, 110, 120)
    with pytest.raises(DataRowError, match='px'):
        crop_window(center + 0.5, 0.001, 224)


def test_box_outside_of_the_image_gives_black():
    for mode in ('official', 'fast'):
        for case in CASES:
            results = dict(
                img=np.full((50, 60, 3), 200, np.uint8), center=np.array([900.0, 800.0]), scale=0.5
            )
            assert MeshCrop(64, mode)(MeshAugment(fixed=case)(results))['img'].max() == 0


def test_noise_clips_at_both_ends():
    for mode in ('official', 'fast'):
        image = np.full((100, 100, 3), 200, np.uint8)
        results = dict(img=image, center=np.array([50.0, 50.0]), scale=0.4)
        fixed = dict(noise=(1.4, 1.0, 0.6))
        crop = MeshCrop(32, mode)(MeshAugment(fixed=fixed)(results))['img']
        assert crop[16, 16].tolist() == [255, 200, 120]


def test_draws_follow_the_official_order_and_bounds():
    augment = MeshAugment(train=True)
    np.random.seed(5)
    drawn = [augment.draw() for _ in range(2000)]
    np.random.seed(5)
    flip = np.random.uniform() <= 0.5
    noise = np.random.uniform(0.6, 1.4, 3)
    rot = min(60, max(-60, np.random.randn() * 30))
    scale = min(1.25, max(0.75, np.random.randn() * 0.25 + 1))
    rot = 0 if np.random.uniform() <= 0.6 else rot
    assert drawn[0]['flip'] == flip and drawn[0]['rot'] == rot and drawn[0]['scale'] == scale
    np.testing.assert_array_equal(drawn[0]['noise'], noise)
    rots = np.array([d['rot'] for d in drawn])
    assert 0.55 < (rots == 0).mean() < 0.65 and abs(rots).max() == 60
    assert {min(d['scale'] for d in drawn), max(d['scale'] for d in drawn)} == {0.75, 1.25}
    hand = MeshAugment(train=True, flip_prob=0, rot_factor=90)
    drawn = [hand.draw() for _ in range(500)]
    assert not any(d['flip'] for d in drawn) and max(abs(d['rot']) for d in drawn) > 150


def test_no_augmentation_by_default_and_bad_fixed():
    drawn = MeshAugment().draw()
    assert (drawn['flip'], drawn['rot'], drawn['scale']) == (False, 0.0, 1.0)
    with pytest.raises(ValueError, match='unknown keys'):
        MeshAugment(fixed=dict(rotation=3))


def test_flip_is_its_own_inverse_and_hands_refuse_it():
    rng = np.random.default_rng(0)
    joints, pose = rng.normal(size=(24, 4)), rng.normal(size=72).astype(np.float32)
    np.testing.assert_array_equal(flip_joints(flip_joints(joints)), joints)
    np.testing.assert_array_equal(flip_pose(flip_pose(pose)), pose)
    assert flip_joints(joints)[0, 0] == -joints[5, 0]  # right ankle from left ankle
    with pytest.raises(ValueError, match='flip_prob=0'):
        MeshAugment(fixed=dict(flip=1))(dict(scale=1.0, joints_3d=np.zeros((21, 4))))


def test_rotation_turns_pose_and_joints_together():
    rng = np.random.default_rng(1)
    pose, local = rng.normal(size=72) * 0.5, rng.normal(size=(24, 3))
    world = local @ cv2.Rodrigues(pose[:3])[0].T
    results = MeshAugment(fixed=dict(rot=40.0))(
        dict(scale=1.0, pose=pose, joints_3d=np.column_stack([world, np.ones(24)]))
    )
    turned = local @ cv2.Rodrigues(results['pose'][:3].astype(np.float64))[0].T
    np.testing.assert_allclose(results['joints_3d'][:, :3], turned, atol=1e-5)
    np.testing.assert_allclose(rotate_pose(rotate_pose(pose, 40), -40)[:3], pose[:3], atol=1e-6)


def test_load_from_array_path_and_bytes(tmp_path):
    bgr = np.zeros((40, 60, 3), np.uint8)
    bgr[..., 0] = 255
    data = cv2.imencode('.png', bgr)[1].tobytes()
    (tmp_path / 'a.png').write_bytes(data)
    for results in (dict(img=bgr), dict(img_path=str(tmp_path / 'a.png')), dict(img_bytes=data)):
        results = LoadMeshImage()(results)
        assert results['img'][0, 0].tolist() == [0, 0, 255]
        assert results['ori_shape'] == (40, 60) and 'img_bytes' not in results
    with pytest.raises(FileNotFoundError, match=r'b.png'):
        LoadMeshImage()(dict(img_path=str(tmp_path / 'b.png')))
    with pytest.raises(ValueError, match='uint8'):
        LoadMeshImage()(dict(img=bgr.astype(float)))


def test_cut_off_and_broken_images_are_refused():
    rng = np.random.default_rng(0)
    data = cv2.imencode('.jpg', rng.integers(0, 256, (64, 64, 3)).astype(np.uint8))[1].tobytes()
    assert decode_image(data).shape == (64, 64, 3)
    for bad in (data[:-2], data[: len(data) // 2], data[:3], b'', b'GIF89a', data[2:]):
        with pytest.raises(DataRowError):
            decode_image(bad)


def test_reduced_decoding_keeps_the_framing():
    point = np.array([702.3, 411.7])
    image = _blob_image([point], (901, 1001))
    data = cv2.imencode('.jpg', image)[1].tobytes()
    results = dict(img_bytes=data, center=np.array([600.0, 450.0]), scale=3.4)
    results = LoadMeshImage(crop_size=224)(results)
    assert results['img_reduction'] == 2 and results['img'].shape == (451, 501, 3)
    results = MeshCrop(224, 'fast')(MeshAugment(fixed=CASES[3])(results))
    back = apply_affine(_centroid(results['img'])[None], results['crop_to_image'])[0]
    np.testing.assert_allclose(back, point, atol=0.3)
    with pytest.raises(ValueError, match='crop_size'):
        MeshCrop(224, 'official')(dict(results, img=image))


def test_box_becomes_a_padded_square():
    results = BoxToCenterScale(1.2)(dict(bbox=np.array([[10, 20, 50, 120]])))
    assert results['center'].tolist() == [30, 70] and results['scale'] == pytest.approx(0.6)
    kept = BoxToCenterScale()(dict(center=1, scale=2, bbox=None))
    assert (kept['center'], kept['scale']) == (1, 2)
    # without a box the image is a crop already: its middle, as in the official demo
    whole = BoxToCenterScale()(dict(img_shape=(100, 200)))
    assert whole['center'].tolist() == [100, 50] and whole['scale'] == 0.5
    for bad in ([5, 5, 5, 9], [0, 0, np.nan, 4], [0, 0, 4]):
        with pytest.raises(DataRowError):
            BoxToCenterScale()(dict(bbox=np.array(bad)))


def test_packed_image_without_labels_goes_through_the_preprocessor():
    bgr = np.random.default_rng(0).integers(0, 256, (80, 90, 3)).astype(np.uint8)
    results = dict(img=bgr, bbox=np.array([[10.0, 10.0, 60.0, 70.0]]), bbox_score=np.ones(1))
    for transform in (
        LoadMeshImage(),
        BoxToCenterScale(),
        MeshAugment(),
        MeshCrop(),
        PackMeshInputs(),
    ):
        results = transform(results)
    assert results['inputs'].dtype == torch.uint8 and results['inputs'].shape == (3, 224, 224)
    sample = results['data_samples']
    assert sample.gt_instances.bboxes.tolist() == [[10, 10, 60, 70]]
    assert sample.gt_instances.bbox_scales.tolist() == [[72, 72]]
    assert 'gt_instance_labels' not in sample
    preprocessor = PoseDataPreprocessor(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
    batch = preprocessor(dict(inputs=[results['inputs']], data_samples=[sample]))
    expected = (results['inputs'][1, 5, 7].item() - 116.28) / 57.12
    assert batch['inputs'][0, 1, 5, 7].item() == pytest.approx(expected, abs=1e-5)


def test_a_crop_is_packed_to_be_drawn_on_itself():
    """As mmpose's browse_dataset.py asks for it: BGR, labels in pixels of the crop."""
    image = np.zeros((4, 8, 3), np.uint8)
    image[..., 0] = 255  # red
    joints = np.zeros((24, 3), np.float32)
    joints[J24_TO_J14[0]] = (-1, 1, 1)  # lower left corner
    joints[J24_TO_J14[13]] = (0.5, 0, 0)
    sample_of = PackMeshInputs(pack_transformed=True).transform
    packed = sample_of(
        dict(
            img=image, center=(40, 30), scale=0.5, joints_2d=joints, img_key='a/b',
            crop_to_image=2 * np.eye(2, 3),
        )
    )  # fmt: skip
    assert packed['inputs'][:, 0, 0].tolist() == [0, 0, 255]
    sample = packed['data_samples']
    assert sample.gt_instances.bboxes.tolist() == [[0, 0, 8, 4]]
    assert sample.gt_instances.keypoints[0, 0].tolist() == [0, 4]
    assert sample.gt_instances.keypoints[0, 13].tolist() == [6, 2]
    assert sample.gt_instances.keypoints_visible[0, [0, 13]].tolist() == [1, 0]
    assert sample.img_path == 'a/b.png' and sample.ori_shape == (4, 8)
    assert np.array_equal(sample.crop_to_image, np.eye(2, 3))
    plain = PackMeshInputs().transform(dict(img=image, center=(40, 30), scale=0.5))
    assert plain['inputs'][:, 0, 0].tolist() == [255, 0, 0]
    assert plain['data_samples'].gt_instances.bboxes.tolist() == [[-10, -20, 90, 80]]
