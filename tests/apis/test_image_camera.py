# SPDX-License-Identifier: Apache-2.0
"""Full-image cameras: known focal lengths, and people where the crop's camera sees them."""

import math

import numpy as np
import pytest
from PIL import Image

from fastmetro_mm.apis import CameraHint
from fastmetro_mm.apis.image_camera import exif_focal_length, pred_cam_on_crop, translation_in_image
from fastmetro_mm.errors import InputError
from fastmetro_mm.geometry.camera import (
    PerspectiveCamera,
    orthographic_from_weak,
    perspective_from_weak,
)

CROP = np.array([[1.7, 0, 120.0], [0, 1.7, -30.0]])
WEAK = np.array([0.8, 0.1, -0.2])
SIZE = (800, 600)


def on_crop_then_image(points):
    pixels = (WEAK[0] * (points[:, :2] + WEAK[1:]) + 1) * 112
    return pixels @ CROP[:, :2].T + CROP[:, 2]


@pytest.mark.parametrize(
    'hint',
    [
        CameraHint(),
        CameraHint(focal_length=5000),
        CameraHint(fov_deg=60),
        CameraHint(intrinsics=[[700, 0, 380], [0, 720, 310], [0, 0, 1]]),
    ],
)
def test_points_at_root_depth_project_where_the_crop_has_them(hint):
    matrix = hint.matrix(SIZE)
    translation = translation_in_image(WEAK, CROP, 224, matrix)
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (50, 3)) * [1, 1, 0]
    pixels = PerspectiveCamera(matrix, *SIZE).project(points + translation)
    # fx and fy differ by 3 % in the last one: the person keeps its mean size
    assert np.abs(pixels - on_crop_then_image(points)).max() < (
        0.5 if matrix[0, 0] == matrix[1, 1] else 4
    )
    root = PerspectiveCamera(matrix, *SIZE).project(translation)
    assert np.abs(root - on_crop_then_image(np.zeros((1, 3)))).max() < 1e-6


def test_all_points_project_alike_with_a_long_lens_and_with_the_networks_camera():
    points = np.random.default_rng(1).uniform(-0.9, 0.9, (200, 3))
    expected = on_crop_then_image(points)
    matrix = CameraHint(focal_length=1e6).matrix(SIZE)
    translation = translation_in_image(WEAK, CROP, 224, matrix)
    assert (
        np.abs(PerspectiveCamera(matrix, *SIZE).project(points + translation) - expected).max()
        < 0.5
    )
    flat = orthographic_from_weak(WEAK, CROP, 224, SIZE)
    assert np.abs(flat.project(points) - expected).max() < 1e-6
    assert pred_cam_on_crop(flat.matrix, CROP, 224) == pytest.approx(WEAK)


def test_it_is_the_camera_of_the_geometry_module():
    matrix = CameraHint().matrix(SIZE)
    camera, translation = perspective_from_weak(WEAK, CROP, 224, SIZE)
    assert matrix == pytest.approx(camera.intrinsics)
    assert translation_in_image(WEAK, CROP, 224, matrix) == pytest.approx(translation)


def test_untrained_cameras_have_no_place():
    matrix = CameraHint().matrix(SIZE)
    for scale in (-1.0, 0.0, np.nan):
        assert np.isnan(translation_in_image(np.array([scale, 0, 0]), CROP, 224, matrix)).all()


def test_focal_lengths():
    assert CameraHint().matrix((300, 400))[0, 0] == 500
    assert CameraHint(fov_deg=90).matrix((300, 400))[0, 0] == pytest.approx(150)
    assert CameraHint(focal_length=700, fov_deg=90).matrix((300, 400))[1, 1] == 700
    for wrong in (dict(focal_length=0), dict(fov_deg=180), dict(intrinsics=np.zeros((3, 3)))):
        with pytest.raises(InputError):
            CameraHint(**wrong)


def test_exif_focal_length(tmp_path):
    def photo(name, **tags):
        exif = Image.Exif()
        for tag, value in tags.items():
            exif.get_ifd(0x8769)[int(tag[1:], 16)] = value
        Image.new('RGB', (300, 400)).save(tmp_path / name, exif=exif)
        return tmp_path / name

    equivalent = photo('equivalent.jpg', xA405=50)
    expected = 50 / math.hypot(36, 24) * 500
    assert exif_focal_length(equivalent, (300, 400)) == pytest.approx(expected)
    assert CameraHint().matrix((300, 400), equivalent)[0, 0] == pytest.approx(expected)
    assert CameraHint(use_exif=False).matrix((300, 400), equivalent)[0, 0] == 500
    # 10 mm, 1000 px a centimetre on a sensor of 3000 x 4000 px: 1000 px there, 100 px here
    sensor = photo('sensor.jpg', x920A=10.0, xA20E=1000.0, xA210=3, xA002=3000, xA003=4000)
    assert exif_focal_length(sensor, (300, 400)) == pytest.approx(100)
    assert exif_focal_length(photo('zero.jpg', xA405=0), (300, 400)) is None
    assert exif_focal_length(tmp_path / 'missing.jpg', (300, 400)) is None


@pytest.mark.parametrize(
    'hint',
    [
        dict(intrinsics='K'),
        dict(intrinsics=[[1, 0], [0, 1]]),
        dict(intrinsics=np.eye(4)),
        dict(intrinsics=[[500, 0, np.nan], [0, 500, 9], [0, 0, 1]]),
        dict(intrinsics=[[500, 0, 9], [0, 500, 9], [0, 0, 0]]),
        dict(intrinsics=[[-500, 0, 9], [0, 500, 9], [0, 0, 1]]),
        dict(intrinsics=[[1, 2], [3]]),
        dict(focal_length='wide'),
        dict(focal_length=np.nan),
        dict(focal_length=0),
        dict(focal_length=True),
        dict(fov_deg='60'),
        dict(fov_deg=180),
        dict(fov_deg=np.inf),
    ],
)
def test_cameras_without_meaning(hint):
    with pytest.raises(InputError, match=r'intrinsics must|focal length must|field of view must'):
        CameraHint(**hint)


def test_a_function_estimates_the_camera_of_each_image():
    seen = []

    def estimate(image):
        seen.append(image.shape)
        return 1.5 * image.shape[1]

    pixels = np.zeros((300, 400, 3), np.uint8)
    hint = CameraHint(estimate=estimate)
    # the image was reduced to half its size before it was worked on
    expected = [[1200, 0, 400], [0, 1200, 300], [0, 0, 1]]
    np.testing.assert_allclose(hint.matrix(SIZE, None, pixels), expected)
    assert seen == [(300, 400, 3)]
    matrix = np.array([[500.0, 0, 190], [0, 510, 160], [0, 0, 1]])
    found = CameraHint(estimate=lambda image: matrix).matrix(SIZE, None, pixels)
    np.testing.assert_allclose(found, [[1000, 0, 380], [0, 1020, 320], [0, 0, 1]])
    # what is known is not asked for
    known = CameraHint(focal_length=700, estimate=estimate).matrix(SIZE, None, pixels)
    assert known[0, 0] == 700 and len(seen) == 1


@pytest.mark.parametrize('answer', [-3, float('nan'), 'long', [1, 2], None, np.eye(3) * 2])
def test_estimates_that_are_no_camera_are_named(answer):
    hint = CameraHint(estimate=lambda image: answer)
    with pytest.raises(InputError, match=r'CameraHint\(estimate=...\): .*must give a focal length'):
        hint.matrix(SIZE, None, np.zeros((30, 40, 3), np.uint8))
