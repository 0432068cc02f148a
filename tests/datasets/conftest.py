# SPDX-License-Identifier: Apache-2.0
"""A tiny data set with known labels."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model, load_model_arrays
from fastmetro_mm.body.joint_regression import joint_regressor_matrix
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow, write_tsv_set


def tiny_rows(count: int, body: str = 'smpl', seed: int = 0) -> list[TSVRow]:
    """Rows with random labels and smooth random images of 200 x 160 px."""
    rng = np.random.default_rng(seed)
    joints, pose = (24, 72) if body == 'smpl' else (21, 48)
    rows = []
    for index in range(count):
        image = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (200, 160))
        points = np.column_stack([rng.uniform(20, 140, (joints, 2)), np.ones(joints)])
        body_points = np.column_stack([rng.normal(0, 0.4, (joints, 3)), np.ones(joints)])
        label = make_label(
            rng.uniform(70, 90, 2),
            rng.uniform(0.5, 0.9),
            points,
            body_points,
            rng.normal(0, 0.5, pose),
            rng.normal(0, 1, 10),
            body=body,
        )
        rows.append(TSVRow(f'img_{index:03d}.jpg', cv2.imencode('.jpg', image)[1].tobytes(), label))
    return rows


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """Function (count, body, seed) -> yaml of a new set under the test's folder."""

    def make(count: int = 4, body: str = 'smpl', seed: int = 0, name: str = 'set') -> Path:
        return write_tsv_set(tmp_path / name, 'train', tiny_rows(count, body, seed))

    return make


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Function (path, width, height) -> the path of a new grey image with a bright corner."""

    def write(path: Path, width: int = 320, height: int = 240) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.full((height, width, 3), 90, np.uint8)
        image[: height // 4, : width // 4] = 230
        cv2.imwrite(str(path), image)
        return path

    return write


@pytest.fixture(scope='session')
def open_mesh() -> MeshJoints:
    """Joints from the open body."""
    return MeshJoints('open_body')


@pytest.fixture(scope='session')
def pose_in_world() -> Callable[..., np.ndarray]:
    """Function (pose, betas, transl) -> J24 of the posed open body (24, 3), world frame.

    Independent of the converters: the body is posed and moved in the world and only its joints
    are brought elsewhere.
    """
    model = build_body_model('open_body', dtype=torch.float64)
    matrix = joint_regressor_matrix(
        load_body_assets('open_body'), 'j24', load_model_arrays('open_body')
    )

    def joints(pose: np.ndarray, betas: np.ndarray, transl: np.ndarray) -> np.ndarray:
        rows = [torch.as_tensor(a, dtype=torch.float64)[None] for a in (pose, betas, transl)]
        return matrix @ model(*rows).vertices[0].numpy()

    return joints
