# SPDX-License-Identifier: Apache-2.0
"""A tiny data set with known labels."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

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
        label = make_label(rng.uniform(70, 90, 2), rng.uniform(0.5, 0.9), points, body_points,
                           rng.normal(0, 0.5, pose), rng.normal(0, 1, 10), body=body)
        rows.append(TSVRow(f'img_{index:03d}.jpg', cv2.imencode('.jpg', image)[1].tobytes(),
                           label))
    return rows


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """Function (count, body, seed) -> yaml of a new set under the test's folder."""

    def make(count: int = 4, body: str = 'smpl', seed: int = 0, name: str = 'set') -> Path:
        return write_tsv_set(tmp_path / name, 'train', tiny_rows(count, body, seed))

    return make
