# SPDX-License-Identifier: Apache-2.0
"""Cameras against cases computed by hand, and against each other."""

import numpy as np
import pytest
import torch

from fastmetro_mm.geometry.camera import (
    OrthographicCamera,
    PerspectiveCamera,
    crop_to_image,
    default_focal_length,
    orthographic_from_weak,
    overlay_focal_length,
    perspective_from_weak,
    weak_perspective_project,
)

IMAGE_SIZE = (640, 480)


def similarity(scale: float, degrees: float, shift: tuple[float, float], flip: bool = False):
    """Crop-to-image matrix of a crop that was scaled, turned and perhaps mirrored."""
    angle = np.radians(degrees)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if flip:
        linear = linear @ np.diag([-1.0, 1.0])
    return np.column_stack([linear, shift])


def crop_path(points, camera, matrix, size=224):
    """Weak projection to the crop, then crop pixels to image pixels: the definition."""
    norm = weak_perspective_project(torch.from_numpy(points)[None], torch.from_numpy(camera)[None])[
        0
    ].numpy()
    return crop_to_image((norm + 1) * 0.5 * size, matrix)


@pytest.fixture
def body_points():
    """Points filling a person: 1.8 m high, 0.6 m deep, root in the middle."""
    rng = np.random.default_rng(0)
    return rng.uniform([-0.4, -0.9, -0.3], [0.4, 0.9, 0.3], (500, 3))


def test_weak_projection_adds_translation_before_scaling():
    points = torch.tensor([[[0.5, -0.25, 7.0]]])
    camera = torch.tensor([[0.8, 0.1, 0.25]])
    xy = weak_perspective_project(points, camera)
    assert torch.allclose(xy, torch.tensor([[[0.48, 0.0]]]))


def test_weak_projection_names_wrong_shapes():
    with pytest.raises(ValueError, match=r'pred_cam \(B, 3\)'):
        weak_perspective_project(torch.zeros(1, 4, 3), torch.zeros(1, 2))


def test_crop_corners_land_on_the_box():
    # A 300 px square with its corner at (50, 20), shrunk to 224 px.
    matrix = similarity(300 / 224, 0, (50, 20))
    corners = np.array([[0.0, 0.0], [224.0, 224.0]])
    assert np.allclose(crop_to_image(corners, matrix), [[50, 20], [350, 320]])
    as_tensor = crop_to_image(torch.from_numpy(corners)[None], torch.from_numpy(matrix)[None])
    assert torch.allclose(as_tensor[0], torch.tensor([[50, 20], [350, 320]]).double())


def test_crop_to_image_rejects_transposed_matrix():
    with pytest.raises(ValueError, match=r'\(\.\.\., 2, 3\)'):
        crop_to_image(np.zeros((5, 2)), np.zeros((3, 2)))


def test_perspective_projection_by_hand():
    camera = PerspectiveCamera(np.array([[100, 0, 50], [0, 200, 40], [0, 0, 1]]), 100, 80)
    points = np.array([[1.0, -1.0, 4.0], [0.0, 0.0, 2.0], [1.0, 1.0, -1.0]])
    pixels = camera.project(points)
    assert np.allclose(pixels[:2], [[75, -10], [50, 40]])
    assert np.isnan(pixels[2]).all()


def test_full_image_translation_by_hand():
    # Box side 224 px, so one crop pixel is one image pixel; crop centre at (420, 240), that is
    # 100 px right of the image's. 0.5 * 224 / 2 = 56 px a metre, so depth is 800 / 56 m and
    # 100 px are 100 / 56 m.
    matrix = similarity(1.0, 0, (420 - 112, 240 - 112))
    camera, translation = perspective_from_weak(
        np.array([0.5, 0.0, 0.0]), matrix, 224, IMAGE_SIZE, 800
    )
    assert np.allclose(translation, [100 / 56, 0, 800 / 56])
    assert np.allclose(camera.intrinsics, [[800, 0, 320], [0, 800, 240], [0, 0, 1]])


def test_focal_length_rules():
    assert default_focal_length((640, 480)) == 800
    assert overlay_focal_length((256, 128)) == 5000
    camera, _ = perspective_from_weak(
        np.array([1.0, 0, 0]), similarity(1, 0, (0, 0)), 224, IMAGE_SIZE
    )
    assert camera.intrinsics[0, 0] == 800


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('degrees', [0, 30, -75])
def test_cameras_agree_with_the_crop(body_points, degrees, flip):
    matrix = similarity(1.7, degrees, (210, 60), flip)
    weak = np.array([0.95, 0.06, -0.11])
    expected = crop_path(body_points, weak, matrix)

    flat = orthographic_from_weak(weak, matrix, 224, IMAGE_SIZE)
    assert np.abs(flat.project(body_points) - expected).max() < 1e-6

    # At root depth the perspective camera agrees exactly, whatever its focal length.
    camera, translation = perspective_from_weak(weak, matrix, 224, IMAGE_SIZE, focal_length=700)
    flat_points = body_points * [1, 1, 0]
    assert (
        np.abs(
            camera.project(flat_points + translation) - crop_path(flat_points, weak, matrix)
        ).max()
        < 1e-6
    )

    # Through the whole depth of a body, a long focal length is needed.
    camera, translation = perspective_from_weak(weak, matrix, 224, IMAGE_SIZE, focal_length=60_000)
    assert np.abs(camera.project(body_points + translation) - expected).max() < 0.5


def test_depth_error_is_the_stated_share():
    matrix = similarity(1.0, 0, (100, 100))
    weak = np.array([0.9, 0.0, 0.0])
    point = np.array([[0.3, 0.2, 0.25]])
    camera, translation = perspective_from_weak(weak, matrix, 224, IMAGE_SIZE)
    exact = crop_path(point, weak, matrix)
    center = np.array([320, 240])
    moved = exact + (center - exact) * 0.25 / (translation[2] + 0.25)
    assert np.allclose(camera.project(point + translation), moved)


def test_nearer_person_is_nearer_in_one_scene():
    small, large = (
        perspective_from_weak(np.array([0.9, 0, 0]), similarity(scale, 0, (0, 0)), 224, IMAGE_SIZE)
        for scale in (0.5, 1.5)
    )
    assert np.array_equal(small[0].intrinsics, large[0].intrinsics)
    assert small[1][2] == pytest.approx(3 * large[1][2])


@pytest.mark.parametrize('weak', [[0.0, 0, 0], [-0.5, 0, 0], [np.nan, 0, 0], [1.0, 0]])
def test_unusable_pred_cam_is_named(weak):
    with pytest.raises(ValueError, match='s > 0'):
        perspective_from_weak(np.array(weak), similarity(1, 0, (0, 0)), 224, IMAGE_SIZE)


def test_stretched_crop_is_refused():
    with pytest.raises(ValueError, match='both axes alike'):
        perspective_from_weak(
            np.array([1.0, 0, 0]), np.array([[1.0, 0, 0], [0, 2.0, 0]]), 224, IMAGE_SIZE
        )


def test_crop_of_uneven_whole_pixels_stays_within_half_a_pixel(body_points):
    # The official crop truncates corners: 151 x 150 px instead of a square.
    matrix = np.array([[151 / 224, 0, 40], [0, 150 / 224, 30]])
    weak = np.array([0.95, 0.02, -0.03])
    camera, translation = perspective_from_weak(weak, matrix, 224, IMAGE_SIZE, focal_length=60_000)
    difference = camera.project(body_points + translation) - crop_path(body_points, weak, matrix)
    assert np.abs(difference).max() < 0.5
    assert camera.intrinsics[0, 0] == camera.intrinsics[1, 1] == 60_000


def test_bad_cameras_are_refused():
    with pytest.raises(ValueError, match='intrinsics'):
        PerspectiveCamera(np.eye(4), 10, 10)
    with pytest.raises(ValueError, match='positive'):
        PerspectiveCamera(np.eye(3), 0, 10)
    with pytest.raises(ValueError, match='invertible'):
        OrthographicCamera(np.zeros((2, 3)), 10, 10)
