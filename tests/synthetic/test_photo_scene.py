# SPDX-License-Identifier: Apache-2.0
"""Images of scene 'photo': labels, depth, seeds, backgrounds and crops."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastmetro_mm.synthetic.body_sampling import Plan
from fastmetro_mm.synthetic.camera_placement import PlacedCamera
from fastmetro_mm.synthetic.crops import draw_crops
from fastmetro_mm.synthetic.environment_light import sample_environment
from fastmetro_mm.synthetic.generate import make_synthetic_set
from fastmetro_mm.synthetic.options import SyntheticSetOptions
from fastmetro_mm.synthetic.photo_backgrounds import PhotoBackgrounds, find_backgrounds
from fastmetro_mm.synthetic.photo_canvas import Canvas, visible_box
from fastmetro_mm.synthetic.photo_effects import finish_image
from fastmetro_mm.synthetic.scene import Studio


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two backgrounds: plain red and plain blue."""
    folder = tmp_path_factory.mktemp('backgrounds')
    for name, color in (('blue', (255, 0, 0)), ('red', (0, 0, 255))):
        image = np.full((96, 160, 3), color, np.uint8)
        cv2.imwrite(str(folder / f'{name}.png'), image)
    return folder


@pytest.fixture(scope='module')
def studio(folder: Path) -> Studio:
    return Studio('body', (128, 112), 'photo', folder)


def _take(studio: Studio, seed: int) -> tuple[Plan, np.ndarray, dict, list]:
    rng = np.random.default_rng((1, seed))
    plan = studio.plan(rng)
    photo, label = studio.take_photo(rng, plan, studio.pose([plan])[0])
    return plan, photo.image, label, photo.people


def test_same_seed_same_image(studio: Studio, folder: Path) -> None:
    other = Studio('body', (128, 112), 'photo', folder)
    for seed in range(4):
        _, image, label, _ = _take(studio, seed)
        _, again, label_again, _ = _take(other, seed)
        assert (image == again).all() and label == label_again


def test_labels_agree_with_each_other(studio: Studio) -> None:
    """2D joints are the projected 3D joints, and the box is what the image shows."""
    companions = 0
    for seed in range(12):
        plan, image, label, people = _take(studio, seed)
        assert image.shape == (112, 128, 3) and image.dtype == np.uint8
        camera = label['camera']
        joints = np.array(label['3d_joints'])[:, :3] + camera['root']
        points = joints[:, :2] / joints[:, 2:] * camera['focal'] + camera['principal']
        marks = np.array(label['2d_joints'])
        assert marks[:, :2] == pytest.approx(points, abs=0.02)
        inside = ((marks[:, :2] >= 0) & (marks[:, :2] <= (127, 111))).all(axis=1)
        assert (marks[:, 2] == inside).all()
        assert label['people'][0]['2d_joints'] == pytest.approx(marks[:, :2], abs=0.02)
        assert np.array(label['pose']) == pytest.approx(plan.pose)
        assert len(people) <= 1 + len(plan.companions)
        companions += len(people) - 1
        seen = [person.seen for person in people]
        assert 0.4 < seen[0] <= 1.0 and all(0 <= share <= 1 for share in seen)
    assert companions >= 3


def test_whoever_is_nearer_is_seen(studio: Studio) -> None:
    """Of two equal people in one place the nearer hides the other, whoever is drawn first."""
    scene, rng = studio.photo, np.random.default_rng(0)
    assert scene is not None
    figure = studio.figure.pose(np.array([[np.pi, 0, 0] + [0] * 69]), np.zeros((1, 10)))[0]
    light = sample_environment(rng)
    outfit = replace(scene.painter.dress(rng, scene.backgrounds), gear=[], skirt=None)
    near = PlacedCamera(128.0, np.array([64.0, 56.0]), np.array([0.0, 0.0, 3.0]))
    far = replace(near, translation=np.array([0.0, 0.0, 6.0]))
    for first, second, seen in ((near, far, 0), (far, near, 1)):
        canvas = Canvas(np.zeros((112, 128, 3), np.float32))
        counts = [
            scene._draw_person(canvas, number, figure, camera, outfit, light, np.inf)
            for number, camera in enumerate((first, second))
        ]
        owners = np.bincount(canvas.owner[canvas.owner >= 0], minlength=2)
        assert owners[seen] == counts[seen]
        assert owners[1 - seen] < 0.2 * counts[1 - seen]
        assert canvas.depth[canvas.owner == seen].max() < 3.5
    # Somebody who would hide the labelled person is left out altogether.
    canvas = Canvas(np.zeros((112, 128, 3), np.float32))
    whole = scene._draw_person(canvas, 0, figure, far, outfit, light, 1.0)
    before = canvas.pixels.copy()
    assert scene._draw_person(canvas, 1, figure, near, outfit, light, 0.5 * whole) == 0
    assert (canvas.pixels == before).all()


def test_crops_carry_exact_labels(studio: Studio) -> None:
    """Any vertex projects into the crop where it is drawn; the person fills the crop."""
    crops = draw_crops(studio, [np.random.default_rng((2, i)) for i in range(6)], 96)
    assert crops.images.shape == (6, 96, 96, 3) and crops.vertices.shape == (6, 6890, 3)
    assert crops.project(crops.joints_3d) == pytest.approx(crops.keypoints[..., :2], abs=0.05)
    again = studio.figure.pose(crops.pose[:1], crops.betas[:1])[0]
    root = again.keypoints[studio.figure.root]
    assert again.vertices - root == pytest.approx(crops.vertices[0], abs=1e-5)
    for points in crops.project(crops.vertices):
        assert ((points > 0) & (points < 96)).all(axis=1).mean() > 0.1
    same = draw_crops(studio, [np.random.default_rng((2, i)) for i in range(6)], 96)
    assert (same.images == crops.images).all()


def test_crops_need_the_photo_scene(body_studio: Studio) -> None:
    with pytest.raises(ValueError, match="'photo'"):
        draw_crops(body_studio, [np.random.default_rng(0)])


def test_box_is_what_a_detector_sees() -> None:
    """Boxes end at the image's border, save for a few."""
    rng, box = np.random.default_rng(0), np.array([-20.0, 10.0, 60.0, 300.0])
    boxes = [visible_box(rng, box, (100, 90)).tolist() for _ in range(300)]
    assert all(found in ([0, 10, 60, 90], box.tolist()) for found in boxes)
    assert 0.93 < np.mean([found == [0, 10, 60, 90] for found in boxes]) < 1.0


def test_backgrounds_come_from_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly all backgrounds are red or blue; textures have a mean of one."""
    backgrounds, rng = PhotoBackgrounds(folder), np.random.default_rng(0)
    plain = 0
    for _ in range(40):
        image = backgrounds.draw(rng, (64, 48))
        assert image.shape == (48, 64, 3) and image.dtype == np.float32
        assert image.min() >= 0 and image.max() <= 1
        plain += bool((image[..., 1] < 1e-6).all())
    assert plain >= 28
    texture = backgrounds.texture(rng)
    assert texture.shape == (128, 128, 3) and texture.mean() == pytest.approx(1.0, abs=0.01)
    monkeypatch.setenv('FASTMETRO_BACKGROUNDS', str(folder))
    assert [file.name for file in find_backgrounds(None)] == ['blue.png', 'red.png']
    monkeypatch.delenv('FASTMETRO_BACKGROUNDS')
    assert find_backgrounds(None) == []
    assert PhotoBackgrounds().draw(rng, (64, 48)).shape == (48, 64, 3)


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='no such folder'):
        find_backgrounds(tmp_path / 'missing')
    with pytest.raises(ValueError, match='no images'):
        find_backgrounds(tmp_path)
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'broken\.jpg.*remove it'):
        PhotoBackgrounds(tmp_path)._read(np.random.default_rng(0))
    with pytest.raises(ValueError, match="choose 'photo'"):
        SyntheticSetOptions(backgrounds=str(tmp_path))


def test_effects_keep_the_image() -> None:
    """Whatever is done to it, a bright half stays brighter than a dark one."""
    image = np.full((64, 64, 3), 0.15, np.float32)
    image[:, 32:] = 0.75
    for seed in range(150):
        photo = finish_image(np.random.default_rng(seed), image.copy())
        assert photo.shape == (64, 64, 3) and photo.dtype == np.uint8
        assert photo[:, 44:].mean() > photo[:, :20].mean() + 25, seed


def test_a_whole_set(tmp_path: Path, folder: Path) -> None:
    """A set in the official format; the recipe knows the backgrounds."""
    options = SyntheticSetOptions('body', 6, 0, 3, (96, 96), 'photo', str(folder))
    made = make_synthetic_set(tmp_path / 'set', options, workers=0, show_progress=False)
    assert made.counts == {'train': 6} and made.yaml_files['train'].exists()
    recipe = options.recipe()
    assert recipe['backgrounds'] == 2
    assert replace(options, backgrounds=None).recipe() != recipe
    assert 'backgrounds' not in SyntheticSetOptions().recipe()


def test_hands_in_photos(folder: Path) -> None:
    """Hands have the same exact labels; a second hand is drawn, but not labelled."""
    studio = Studio('hand', (112, 112), 'photo', folder)
    rngs = [np.random.default_rng((4, i)) for i in range(12)]
    crops = draw_crops(studio, rngs, 96)
    assert crops.pose.shape == (12, 48) and crops.keypoints.shape == (12, 21, 3)
    assert crops.project(crops.joints_3d) == pytest.approx(crops.keypoints[..., :2], abs=0.05)
    plans = [studio.plan(np.random.default_rng((4, i))) for i in range(60)]
    assert 4 <= sum(len(plan.companions) for plan in plans) <= 22
    same = draw_crops(studio, [np.random.default_rng((4, i)) for i in range(12)], 96)
    assert (same.images == crops.images).all()


def test_nails_are_on_the_back_of_the_fingertips(folder: Path) -> None:
    scene = Studio('hand', (64, 64), 'photo', folder).photo
    figure = scene.figure
    nails = figure.rest[scene._nails]
    tips = figure.rest_keypoints[[4, 8, 12, 16, 20]]
    nearest = np.linalg.norm(nails[:, None] - tips, axis=2)
    assert set(nearest.argmin(axis=1)) >= {1, 2, 3, 4} and nearest.min(axis=1).max() < 0.012
