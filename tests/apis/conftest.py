# SPDX-License-Identifier: Apache-2.0
"""A tiny network that is not trained but sees a person, and three people of known shape."""

import importlib.util

import cv2
import numpy as np
import pytest
import torch

from fastmetro_mm.apis import FrameResult, MeshInferencer, PersonMesh
from fastmetro_mm.apis.image_camera import pred_cam_on_crop
from fastmetro_mm.apis.video_writer import VideoWriter
from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model
from fastmetro_mm.body.joint_regression import JointRegressor
from fastmetro_mm.config_files import config_path
from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.model_zoo.model_loading import load_network

PHOTO = 'data/images/000000000785.jpg'
BOX = [280, 44, 499, 391]
SIDE = 96  # crop of the quickstart network, pixels
SIZE = (640, 480)


def steady_camera(network: torch.nn.Module) -> None:
    """Give an untrained network a camera that looks at the middle of the crop, a bit moved."""
    torch.manual_seed(0)
    layer = network.head.cam_predictor
    with torch.no_grad():
        layer.weight.mul_(0.05)
        layer.bias.copy_(torch.tensor([0.9, 0.05, -0.1]))


@pytest.fixture(scope='session')
def photo(shared_dir):
    """Path of a real photo, 640 x 425."""
    return shared_dir / PHOTO


@pytest.fixture(scope='session')
def weights_file(tmp_path_factory):
    """Checkpoint of the small network for bodies, not trained."""
    torch.manual_seed(0)
    network = load_network('quickstart', None, 'cpu')
    steady_camera(network)
    path = tmp_path_factory.mktemp('weights') / 'untrained.pth'
    torch.save({'state_dict': network.state_dict(), 'meta': {}}, path)
    return path


@pytest.fixture(scope='session')
def inferencer(weights_file):
    """Inferencer with that network."""
    return MeshInferencer('quickstart', weights_file, detector='none')


@pytest.fixture(scope='session')
def hand_config():
    """Config of a small network for hands of the open hand."""
    from mmengine.config import Config

    from fastmetro_mm.datasets import HandMeshTSVDataset

    config = Config.fromfile(config_path('quickstart'))
    config.model.body = dict(name='open_hand')
    config.model.neck.num_joints = 21
    config.model.head.criterion = None
    config.train_dataloader.dataset.type = HandMeshTSVDataset
    for step in config.test_dataloader.dataset.pipeline:
        if 'mode' in step:
            step.mode = 'official'
    return config


def make_people() -> tuple[FrameResult, PerspectiveCamera]:
    """Three posed open bodies one behind the other, as perfect predictions of one image."""
    camera = PerspectiveCamera.from_focal_length(900.0, SIZE)
    body = build_body_model('open_body')
    pose = torch.zeros(3, 72)
    pose[:, 0] = torch.pi  # body files are y up and look along z; cameras are y down
    pose[:, 16 * 3 + 2] = torch.tensor([-1.1, -0.4, -1.2])  # left shoulder
    pose[:, 17 * 3 + 2] = torch.tensor([1.1, 0.9, 0.2])  # right shoulder
    pose[:, 4 * 3] = torch.tensor([0.0, 0.6, 0.2])  # left knee
    with torch.no_grad():
        vertices = body(pose, torch.zeros(3, 10)).vertices
    joints = JointRegressor(load_body_assets('open_body').J_regressor_h36m)(vertices)
    vertices = (vertices - joints[:, :1]).numpy()
    places = np.array([[-0.35, 0.05, 4.6], [0.15, 0.0, 6.0], [0.6, 0.1, 5.2]])
    people = [_perfect(v, t, camera) for v, t in zip(vertices, places, strict=True)]
    frame = FrameResult(
        None,
        0,
        SIZE,
        camera.intrinsics,
        people,
        'open_body',
        body.faces.numpy(),
        image=np.full((SIZE[1], SIZE[0], 3), 127, np.uint8),
    )
    return frame, camera


def _perfect(vertices, translation, camera):
    """Prediction whose weak camera is the best fit to the true perspective image."""
    pixels = camera.project(vertices + translation)
    scale = camera.intrinsics[0, 0] / translation[2]
    offset = (pixels - scale * vertices[:, :2]).mean(axis=0)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    side = 1.2 * (high - low).max()
    crop_to_image = np.column_stack([np.eye(2) * side / 224, (low + high) / 2 - side / 2])
    flat = np.column_stack([np.eye(2) * scale, offset])
    weak = pred_cam_on_crop(flat, crop_to_image, 224)
    return PersonMesh(
        vertices=vertices,
        joints_3d=vertices[:14],
        keypoints=pixels[:14],
        pred_cam=weak,
        translation=translation,
        bbox=np.concatenate([low, high]),
        bbox_score=1.0,
        crop_to_image=crop_to_image,
        crop_size=224.0,
    )


def true_index(frame: FrameResult, camera: PerspectiveCamera) -> np.ndarray:
    """Which person each pixel shows, drawn triangle by triangle, farthest person first."""
    shown = np.full((SIZE[1], SIZE[0]), -1, np.int32)
    order = sorted(range(len(frame.people)), key=lambda n: -frame.people[n].translation[2])
    fine = 5  # OpenCV also fills the pixels of the outline: make them small; odd, for the centres
    for number in order:
        corners = camera.project(frame.people[number].camera_vertices)[frame.faces] * fine
        mask = np.zeros((SIZE[1] * fine, SIZE[0] * fine), np.uint8)
        # 4 bits of sub-pixels; OpenCV's pixel centres are whole numbers, ours end in .5
        for triangle in np.round((corners - 0.5) * 16).astype(np.int32):
            cv2.fillConvexPoly(mask, triangle, 1, shift=4)
        shown[mask[fine // 2 :: fine, fine // 2 :: fine] > 0] = number
    return shown


@pytest.fixture(scope='session')
def three_people():
    """Three people, their camera, and which of them each pixel shows."""
    frame, camera = make_people()
    return frame, camera, true_index(frame, camera)


@pytest.fixture
def clip(tmp_path):
    """A video of five dark frames, 96 x 64, ten a second."""
    with VideoWriter(tmp_path / 'clip.mp4', 10) as writer:
        for _ in range(5):
            writer.write(np.full((64, 96, 3), 90, np.uint8))
    return tmp_path / 'clip.mp4'


@pytest.fixture(scope='module')
def demo(repo_dir):
    spec = importlib.util.spec_from_file_location('demo', repo_dir / 'tools' / 'demo.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(demo, weights_file, tmp_path, capsys):
    """Runs the demo; gives exit code and lines of error."""

    def call(*arguments, weights=weights_file):
        given = ['--out', tmp_path / 'out', *arguments, '--quiet', '--renderer', 'software']
        if weights is not None:
            given += ['--weights', weights]
        try:
            code = demo.main([str(argument) for argument in given])
        except SystemExit as stop:
            code = stop.code
        errors = [
            line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')
        ]
        return code, errors

    return call
