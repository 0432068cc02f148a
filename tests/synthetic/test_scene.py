# SPDX-License-Identifier: Apache-2.0
"""Labels agree with each other, with the mesh they describe, and with the image."""

import cv2
import numpy as np
import pytest

from fastmetro_mm.synthetic.scene import DrawnSample, Studio


def draw(studio: Studio, seed: int) -> DrawnSample:
    rng = np.random.default_rng([3, seed])
    plan = studio.plan(rng)
    return studio.draw(rng, plan, studio.figure.pose(plan.pose[None], plan.betas[None])[0])


@pytest.fixture(params=['body', 'hand'])
def studio(request) -> Studio:
    return request.getfixturevalue(f'{request.param}_studio')


def test_keypoints_are_the_projection_of_the_joints(studio):
    for seed in range(12):
        label = draw(studio, seed).label
        joints = np.array(label['3d_joints'])[:, :3] + label['camera']['root']
        projected = joints[:, :2] / joints[:, 2:] * label['camera']['focal']
        projected += label['camera']['principal']
        np.testing.assert_allclose(np.array(label['2d_joints'])[:, :2], projected, atol=5e-3)
        assert joints[:, 2].min() > 0.05


def test_pose_and_betas_give_the_joints_again(studio):
    figure = studio.figure
    for seed in range(6):
        label = draw(studio, seed).label
        posed = figure.pose(np.array([label['pose']]), np.array([label['betas']]))[0]
        joints = posed.keypoints - posed.keypoints[figure.root]
        np.testing.assert_allclose(np.array(label['3d_joints'])[:, :3], joints, atol=1e-4)
        # The box holds the whole mesh, up to the jitter, and is not much larger.
        vertices = posed.vertices - posed.keypoints[figure.root] + label['camera']['root']
        pixels = vertices[:, :2] / vertices[:, 2:] * label['camera']['focal']
        pixels += label['camera']['principal']
        extent = np.ptp(pixels, axis=0).max()
        assert 0.93 * 1.2 < 200 * label['scale'] / extent < 1.09 * 1.2
        middle = (pixels.min(axis=0) + pixels.max(axis=0)) / 2
        assert np.abs(middle - label['center']).max() <= 0.041 * extent + 0.01


def test_every_official_field_is_there(studio):
    joints, pose = (24, 72) if studio.figure.kind == 'body' else (21, 48)
    label = draw(studio, 0).label
    assert np.array(label['2d_joints']).shape == (joints, 3)
    assert np.array(label['3d_joints']).shape == (joints, 4)
    assert len(label['pose']) == pose and len(label['betas']) == 10
    assert label['has_2d_joints'] == label['has_3d_joints'] == label['has_smpl'] == 1
    assert label['gender'] == 'neutral'
    assert np.array(label['3d_joints'])[studio.figure.root, :3].tolist() == [0, 0, 0]


def test_visibility_says_whether_a_joint_is_inside_the_image(body_studio):
    width, height = body_studio.size
    outside = 0
    for seed in range(40):
        points = np.array(draw(body_studio, seed).label['2d_joints'])
        places = points[:, :2]
        inside = (places >= 0).all(axis=1) & (places <= (width - 1, height - 1)).all(axis=1)
        np.testing.assert_array_equal(points[:, 2], inside)
        outside += not inside.all()
    assert 2 <= outside <= 20  # some images, not most, cut the person off


def test_left_is_left_of_a_person_who_faces_the_camera(body_studio):
    """Global orientation of pi about x: upright, facing the camera, its left on our right."""
    figure = body_studio.figure
    pose = np.zeros((1, 72))
    pose[0, 0] = np.pi
    joints = figure.pose(pose, np.zeros((1, 10)))[0].keypoints
    names = {'r_ankle': 0, 'l_ankle': 5, 'r_wrist': 6, 'l_wrist': 11, 'top': 13, 'nose': 19}
    assert joints[names['l_wrist'], 0] > 0.3 > -0.3 > joints[names['r_wrist'], 0]
    assert joints[names['l_ankle'], 0] > joints[names['r_ankle'], 0]
    assert joints[names['top'], 1] < joints[names['l_ankle'], 1]  # y points down
    assert joints[names['nose'], 2] < joints[12, 2]  # the face is nearer than the neck


def test_image_decodes_to_the_asked_size_and_is_not_flat(studio):
    image = cv2.imdecode(np.frombuffer(draw(studio, 1).image, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (studio.size[1], studio.size[0], 3)
    assert image.std() > 10


def test_occluders_hide_some_people_but_never_most_of_one(body_studio):
    hidden = np.array([draw(body_studio, seed).hidden for seed in range(60)])
    assert (hidden > 0.02).sum() >= 6
    assert hidden.max() <= 0.45


def test_same_seed_same_sample(studio):
    first, again, other = draw(studio, 2), draw(studio, 2), draw(studio, 3)
    assert first.image == again.image and first.label == again.label
    assert first.image != other.image


def test_studio_people_are_whole_and_face_the_camera():
    studio = Studio('body', (96, 96), scene='studio')
    for seed in range(12):
        rng = np.random.default_rng(seed)
        plan = studio.plan(rng)
        (posed,) = studio.figure.pose(plan.pose[None], plan.betas[None])
        sample = studio.draw(rng, plan, posed)
        assert sample.hidden == 0
        points = np.array(sample.label['2d_joints'])
        # every joint visible, and the right hip left of the left hip in the image
        assert points[:, 2].all()
        if plan.family not in ('turning', 'sitting', 'lunging', 'kicking'):
            assert points[2, 0] < points[3, 0], plan.family


@pytest.mark.parametrize(
    ('scene', 'first', 'total', 'color'),
    [
        ('street', [2.769475, -0.088685, 1.379505], 6.936902, [105.76, 124.12, 115.29]),
        ('studio', [-2.853153, -0.015626, 1.004814], 1.012642, [57.86, 60.53, 86.14]),
    ],
)
def test_older_scenes_draw_what_they_drew(
    scene: str, first: list[float], total: float, color: list[float]
) -> None:
    """Additions for photos leave the quickstart's images alone (values of drawing version 1)."""
    studio, rng = Studio('body', (96, 96), scene), np.random.default_rng((7, 3))
    plan = studio.plan(rng)
    assert plan.pose[:3] == pytest.approx(first, abs=1e-5)
    assert plan.pose.sum() == pytest.approx(total, abs=1e-4)
    posed = studio.figure.pose(plan.pose[None], plan.betas[None])[0]
    image = cv2.imdecode(np.frombuffer(studio.draw(rng, plan, posed).image, np.uint8), 1)
    assert image.reshape(-1, 3).mean(axis=0) == pytest.approx(color, abs=0.3)
