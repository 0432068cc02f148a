# SPDX-License-Identifier: Apache-2.0
"""The hook with a model of one layer: what it draws, when, and that it changes nothing."""

import itertools
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer
from mmpose.registry import HOOKS
from PIL import ExifTags, Image
from torch import nn

from fastmetro_mm.structures import MeshDataSample
from fastmetro_mm.visualization import crop_images, mesh_visualizer

NUMBERS = itertools.count()


class SphereModel(nn.Module):
    """Predicts the same sphere for every sample; in training mode it would change its buffer."""

    def __init__(self, vertices):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.frozen = nn.Dropout().eval()
        self.vertices = 0.5 * torch.tensor(vertices, dtype=torch.float32)
        self.body = SimpleNamespace(centre=lambda mesh, joints: (mesh, joints))
        self.missing_file = False

    def build_targets(self, samples, device):
        """True meshes of samples."""
        if self.missing_file:
            raise FileNotFoundError('SMPL_NEUTRAL.pkl is missing')
        return SimpleNamespace(vertices=self.vertices.expand(len(samples), -1, -1), joints=None)

    def test_step(self, batch):
        """Predictions for a batch."""
        self.norm(torch.stack(batch['inputs']).float().mean((2, 3)).repeat(2, 1))
        for sample in batch['data_samples']:
            sample.pred_instances = InstanceData(
                vertices=self.vertices[None].numpy(),
                pred_cam=np.array([[0.8, 0, 0]], np.float32),
                joints_3d=np.zeros((1, 14, 3), np.float32),
                keypoints=np.full((1, 14, 2), 100, np.float32),
                keypoint_scores=np.ones((1, 14), np.float32),
            )
        return batch['data_samples']


@pytest.fixture
def runner(sphere, tmp_path, monkeypatch):
    body = SimpleNamespace(faces=sphere[1])
    monkeypatch.setattr(mesh_visualizer, 'build_body', lambda config, with_model: body)
    visualizer = mesh_visualizer.MeshVisualizer(
        name=f'hook_{next(NUMBERS)}', renderer='software', views=(), draw_skeleton=False
    )
    evaluator = SimpleNamespace(dataset_meta=None)
    return SimpleNamespace(
        visualizer=visualizer,
        model=SphereModel(sphere[0]),
        work_dir=str(tmp_path),
        iter=9,
        _train_loop=SimpleNamespace(iter=9, epoch=2),
        val_evaluator=evaluator,
        test_evaluator=evaluator,
        train_dataloader=SimpleNamespace(dataset=None),
    )


def make_batch(count=3, img_path=None):
    samples = []
    for number in range(count):
        sample = MeshDataSample()
        meta = dict(
            img_key=f'S9/cam {number}.jpg',
            input_size=(64, 64),
            crop_to_image=np.array([[1.5, 0, 40], [0, 1.5, 20]], np.float32),
        )
        sample.set_metainfo({**meta, 'img_path': img_path} if img_path else meta)
        sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4), np.float32))
        sample.gt_instance_labels = InstanceData(has_smpl=torch.zeros(1))
        samples.append(sample)
    inputs = [torch.full((3, 64, 64), 50 * number, dtype=torch.uint8) for number in range(count)]
    return dict(inputs=inputs, data_samples=samples)


def images(runner):
    return sorted(path for path in runner.folder.rglob('*.jpg')) if runner.folder.exists() else []


@pytest.fixture
def hook(runner, tmp_path):
    runner.folder = tmp_path / 'visualization'
    return HOOKS.build(dict(type='MeshVisualizationHook', enable=True, interval=2, max_samples=2))


def test_some_samples_of_every_interval_are_drawn(hook, runner):
    for batch_idx in range(4):
        batch = make_batch()
        hook.after_val_iter(runner, batch_idx, batch, runner.model.test_step(make_batch()))
    names = [str(path.relative_to(runner.folder)) for path in images(runner)]
    assert names == [
        'val_epoch_2/000000_0_S9_cam_0_jpg.jpg',
        'val_epoch_2/000000_1_S9_cam_1_jpg.jpg',
        'val_epoch_2/000002_0_S9_cam_0_jpg.jpg',
        'val_epoch_2/000002_1_S9_cam_1_jpg.jpg',
    ]


def test_without_a_path_the_crop_is_drawn(hook, runner):
    batch = make_batch()
    hook.after_test_iter(runner, 0, batch, runner.model.test_step(make_batch()))
    image = cv2.imread(str(images(runner)[1]))
    assert image.shape == (256, 256, 3)  # a crop of 64 pixels, enlarged to be seen
    assert np.abs(image[:8, :8].astype(int) - 50).max() < 6  # the second crop is grey 50
    # The sphere of 0.5 m has radius 0.5 * 0.8 * 128 px about the crop's centre.
    assert abs(image[128, 128].astype(int) - 50).max() > 40 and image[128, 20].max() < 60


def test_with_a_path_the_full_image_is_drawn(hook, runner, tmp_path):
    path = tmp_path / 'photo.png'
    cv2.imwrite(str(path), np.full((120, 180, 3), 90, np.uint8))
    outputs = runner.model.test_step(make_batch(1, str(path)))
    hook.after_test_iter(runner, 0, make_batch(1, str(path)), outputs)
    image = cv2.imread(str(images(runner)[0]))
    assert image.shape == (120, 180, 3)
    assert image[20 + 48, 40 + 48].max() > 130 and np.abs(image[5, 5].astype(int) - 90).max() < 6


def test_the_full_image_is_the_one_that_the_network_saw(hook, runner, tmp_path):
    """Turned as its EXIF data say, transparent parts on white."""
    path, exif = tmp_path / 'photo.webp', Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new('RGBA', (180, 120), (90, 90, 90, 0)).save(path, exif=exif, lossless=True)
    outputs = runner.model.test_step(make_batch(1, str(path)))
    hook.after_test_iter(runner, 0, make_batch(1, str(path)), outputs)
    image = cv2.imread(str(images(runner)[0]))
    assert image.shape == (180, 120, 3) and image[5, 5].min() > 250


def test_true_mesh_stands_beside(hook, runner):
    outputs = runner.model.test_step(make_batch(1))
    outputs[0].gt_instance_labels.has_smpl = torch.ones(1)
    hook.after_test_iter(runner, 0, make_batch(1), outputs)
    assert cv2.imread(str(images(runner)[0])).shape[1] > 2 * 64
    assert 'vertices' not in outputs[0].gt_instances  # metrics see what the model gave


def test_missing_body_file_costs_only_the_true_mesh(hook, runner):
    runner.model.missing_file = True
    outputs = runner.model.test_step(make_batch(1))
    outputs[0].gt_instance_labels.has_smpl = torch.ones(1)
    hook.after_test_iter(runner, 0, make_batch(1), outputs)
    assert len(images(runner)) == 1


def test_training_goes_on_unchanged(runner, tmp_path):
    runner.folder = tmp_path / 'visualization'
    hook = HOOKS.build(
        dict(type='MeshVisualizationHook', enable=True, train_interval=5, max_samples=1)
    )
    model = runner.model.train()
    model.frozen.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = make_batch()
    hook.after_train_iter(runner, 9, batch, None)
    assert [path.parent.name for path in images(runner)] == ['train']
    assert model.norm.training and not model.frozen.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert 'pred_instances' not in batch['data_samples'][0]
    runner.iter = 10
    hook.after_train_iter(runner, 10, batch, None)
    assert len(images(runner)) == 1


def test_disabled_hook_does_nothing(runner, tmp_path):
    runner.folder = tmp_path / 'visualization'
    hook = HOOKS.build(dict(type='MeshVisualizationHook', train_interval=1))
    runner.visualizer = None
    hook.before_run(runner)
    hook.after_val_iter(runner, 0, None, None)
    hook.after_train_iter(runner, 0, None, None)
    assert not images(runner)


def test_other_visualizer_is_named_before_the_run(hook, runner):
    runner.visualizer = Visualizer(name=f'plain_{next(NUMBERS)}')
    with pytest.raises(ValueError, match=r"visualizer=dict\(type='MeshVisualizer'"):
        hook.before_run(runner)


def test_normalised_crops_become_images_again():
    preprocessor = SimpleNamespace(
        _enable_normalize=True,
        mean=torch.tensor([120.0, 110, 100]).view(3, 1, 1),
        std=torch.tensor([60.0, 55, 50]).view(3, 1, 1),
    )
    model = SimpleNamespace(data_preprocessor=preprocessor)
    drawing = torch.randint(0, 256, (3, 8, 8), generator=torch.Generator().manual_seed(0))
    inputs = (drawing - preprocessor.mean) / preprocessor.std
    restored = crop_images.crop_image(inputs, model)
    assert np.array_equal(restored, drawing.permute(1, 2, 0).numpy())


def test_bad_intervals_are_refused():
    with pytest.raises(ValueError, match='interval >= 1'):
        HOOKS.build(dict(type='MeshVisualizationHook', interval=0))


def test_a_sample_on_the_enlarged_crop_keeps_its_places():
    sample = make_batch(count=1)['data_samples'][0]
    # image = 2 crop + (10, 20); a point at crop (30, 40) lies at (70, 100) in the image
    sample.set_metainfo(dict(crop_to_image=np.array([[2.0, 0, 10], [0, 2, 20]])))
    sample.pred_instances = InstanceData(
        keypoints=np.array([[[70.0, 100.0]]]), bboxes=np.array([[10.0, 20, 202, 212]])
    )
    placed = crop_images.on_the_crop(sample, 96, enlarge=2)
    np.testing.assert_allclose(placed.pred_instances.keypoints, [[[60, 80]]])
    np.testing.assert_allclose(placed.pred_instances.bboxes, [[0, 0, 192, 192]])
    np.testing.assert_allclose(placed.crop_to_image, [[2, 0, 0], [0, 2, 0]])
