# SPDX-License-Identifier: Apache-2.0
"""Small meshes and cameras for the drawing tests."""

import numpy as np
import pytest

from fastmetro_mm.geometry.camera import PerspectiveCamera


def make_sphere(rings: int = 24, sectors: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Unit sphere, counter-clockwise faces seen from outside."""
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, rings), np.arange(sectors) * 2 * np.pi / sectors, indexing='ij'
    )
    vertices = np.stack(
        [np.sin(polar) * np.cos(around), -np.cos(polar), np.sin(polar) * np.sin(around)], -1
    )
    number = np.arange(rings * sectors).reshape(rings, sectors)
    here, right = number[:-1], np.roll(number, -1, axis=1)[:-1]
    below, below_right = number[1:], np.roll(number, -1, axis=1)[1:]
    faces = np.concatenate(
        [np.stack([here, below, right], -1), np.stack([right, below, below_right], -1)]
    )
    return vertices.reshape(-1, 3), faces.reshape(-1, 3)


@pytest.fixture(scope='session')
def sphere() -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a unit sphere."""
    return make_sphere()


@pytest.fixture
def camera() -> PerspectiveCamera:
    """Camera of a 160 x 120 image."""
    return PerspectiveCamera.from_focal_length(150.0, (160, 120))
