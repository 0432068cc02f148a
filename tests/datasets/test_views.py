# SPDX-License-Identifier: Apache-2.0
"""Views for test-time augmentation: what is understood, and what the pipeline makes of it."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import Compose

from fastmetro_mm.datasets.transforms import MeshAugment, MeshCrop, PackMeshInputs
from fastmetro_mm.datasets.transforms.views import (
    View,
    all_views,
    check_mirroring,
    one_view,
    parse_views,
)
from fastmetro_mm.errors import InputError

FLIPPED = (View(), View(flip=True))


@pytest.mark.parametrize(
    ('value', 'views'),
    [
        (None, ()),
        ('', ()),
        ('flip', FLIPPED),
        (['flip'], FLIPPED),
        (dict(flip=True), FLIPPED),
        ('rot=-20,20', (View(), View(rot=-20), View(rot=20))),
        (dict(rot=-20), (View(), View(rot=-20))),
        (dict(scale=(1, 1.25), flip=False), (View(), View(scale=1.25))),
        ('flip scale=0.9', (View(), View(True), View(scale=0.9), View(True, 0, 0.9))),
    ],
)
def test_every_combination_is_a_view_and_the_crop_as_it_is_comes_first(value, views):
    assert parse_views(value) == views


@pytest.mark.parametrize(
    ('value', 'says'),
    [
        ('turn=3', 'turn is unknown: give flip, rot=DEGREES, scale=FACTORS'),
        ('flop', 'flop is unknown'),
        ('rot', '1 views'),
        ('rot=x', 'rot must be numbers'),
        ('rot=200', 'rot=200 must lie between -180 and 180'),
        ('scale=nan', 'scale=nan must lie'),
        (dict(scale=0), 'scale=0 must lie'),
        (dict(rot=0), '1 views'),
        (dict(flip='yes'), 'flip must be True or False'),
        ('rot=' + ','.join(map(str, range(1, 180))) + ' flip', '360 views: ask for 2 to 200'),
    ],
)
def test_what_means_nothing_is_refused(value, says):
    with pytest.raises(InputError) as error:
        parse_views(value)
    assert says in str(error.value)


def test_mirror_images_of_hands_are_refused():
    hand, body = (SimpleNamespace(is_hand=is_hand) for is_hand in (True, False))
    check_mirroring(True, body)
    check_mirroring(False, hand)
    with pytest.raises(InputError, match='left one, which networks for right'):
        check_mirroring(True, hand)


def results():
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    joints = np.random.default_rng(1).normal(0, 0.3, (24, 4)).astype(np.float32)
    return dict(img=image, img_path='a.jpg', ori_shape=(90, 120), img_shape=(90, 120),
                center=np.array([60.0, 45.0]), scale=0.35, joints_3d=joints,
                pose=np.full(72, 0.1, np.float32))  # fmt: skip


CONFIGS = [dict(type=MeshCrop, size=64), dict(type=PackMeshInputs)]


@pytest.mark.parametrize('built', [False, True])
def test_all_views_are_what_each_of_them_is_alone(built):
    views = parse_views('flip rot=30 scale=1.2')
    steps = [MeshCrop(64), PackMeshInputs()] if built else CONFIGS
    found = Compose(all_views(steps, views))(results())
    assert len(found['inputs']) == len(views) == 8
    for view, inputs, sample in zip(views, found['inputs'], found['data_samples'], strict=True):
        alone = Compose(one_view(CONFIGS, view))(results())
        assert (alone['inputs'] == inputs).all()
        assert (sample.flip, sample.rot) == (view.flip, view.rot)
        np.testing.assert_array_equal(sample.crop_to_image, alone['data_samples'].crop_to_image)
    first = Compose(CONFIGS)(results())
    assert (found['inputs'][0] == first['inputs']).all()


def test_a_view_is_the_fixed_augmentation_of_the_official_loader():
    """Which the golden rows of the official loader are compared with (test_mesh_dataset)."""
    steps = [dict(type='MeshAugment', train=True), *CONFIGS]  # replaced: drawn ones are no view
    found = Compose(one_view(steps, View(rot=-90, scale=0.7)))(results())
    fixed = dict(type=MeshAugment, fixed=dict(rot=-90.0, scale=0.7))
    expected = Compose([fixed, *CONFIGS])(results())
    assert (found['inputs'] == expected['inputs']).all()
    labels, truth = (one['data_samples'].gt_instance_labels for one in (found, expected))
    for name in ('joints_3d', 'pose'):
        np.testing.assert_array_equal(labels[name], truth[name])


def test_a_pipeline_without_a_crop_has_no_views():
    with pytest.raises(InputError, match='no MeshCrop'):
        all_views([dict(type='PackMeshInputs')], FLIPPED)


@pytest.mark.parametrize('rot', [0.0, 25.0])
def test_smooth_crops_average_pixels_also_where_they_are_turned(rot):
    """Single pixels of a fine pattern must not be picked: it becomes grey."""
    image = np.zeros((600, 600, 3), np.uint8)
    image[::2, 1::2] = image[1::2, ::2] = 255
    aug = dict(flip=False, noise=np.ones(3), rot=rot)
    given = dict(img=image, center=np.array([300.0, 300.0]), scale=2.0, aug=aug)
    smooth = MeshCrop(64, 'smooth')(dict(given))['img'].astype(float)
    fast = MeshCrop(64, 'fast')(dict(given))['img'].astype(float)
    assert np.abs(smooth - 127.5).max() < 12
    assert np.abs(fast - 127.5).max() > 60


def test_turned_smooth_crops_lie_where_the_map_says():
    image = np.zeros((300, 300, 3), np.uint8)
    image[100:110, 180:190] = 255
    aug = dict(flip=False, noise=np.ones(3), rot=35.0)
    done = MeshCrop(64, 'smooth')(
        dict(img=image, center=np.array([150.0, 140.0]), scale=0.9, aug=aug)
    )
    weights = done['img'][..., 0].astype(float)
    ys, xs = np.mgrid[:64, :64] + 0.5
    seen = np.array([(xs * weights).sum(), (ys * weights).sum()]) / weights.sum()
    matrix = done['crop_to_image']
    np.testing.assert_allclose(matrix[:, :2] @ seen + matrix[:, 2], [185, 105], atol=0.7)
