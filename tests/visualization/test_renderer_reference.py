# SPDX-License-Identifier: Apache-2.0
"""The software renderer against one that is slow and plain: every sample of every triangle."""

import numpy as np
import pytest

from fastmetro_mm.geometry.camera import OrthographicCamera, PerspectiveCamera
from fastmetro_mm.visualization.render_types import Lighting, RenderMesh
from fastmetro_mm.visualization.shading import shade_meshes
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer

SIZE = (160, 120)


def cross(first, second):
    """Third component of the cross product of vectors (..., 2)."""
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def drawn_slowly(meshes, camera, background, factor):
    """Image, and the mesh number of every sample (H * factor, W * factor)."""
    perspective = isinstance(camera, PerspectiveCamera)
    soup = shade_meshes(meshes, Lighting(), perspective)
    points = camera.project(soup.corners) * factor
    depth = soup.corners[..., 2]
    nearness = 1 / depth if perspective else 10 - depth
    height, width = camera.height * factor, camera.width * factor
    buffer, colors = np.zeros((height, width)), np.zeros((height, width, 3))
    index = np.full((height, width), -1)
    for corners, near, paint, number in zip(
        points, nearness, soup.colors, soup.mesh_index, strict=True
    ):
        low = np.clip(np.floor(corners.min(0)), 0, [width, height]).astype(int)
        high = np.clip(np.ceil(corners.max(0)), 0, [width, height]).astype(int)
        area = cross(*(corners[1:] - corners[0]))
        if area == 0 or (low >= high).any():
            continue
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
        from_first = np.stack([x, y], -1) - corners[0]
        second = cross(from_first, corners[2] - corners[0]) / area
        third = cross(corners[1] - corners[0], from_first) / area
        shares = np.stack([1 - second - third, second, third], -1)
        value = shares @ near
        part = (slice(low[1], high[1]), slice(low[0], high[0]))
        shown = (shares >= 0).all(-1) & (value > buffer[part])
        buffer[part][shown] = value[shown]
        index[part][shown] = number
        if perspective:
            shares = shares * near / value[..., None]
        colors[part][shown] = (shares @ paint)[shown]
    shape = (camera.height, factor, camera.width, factor)
    share = (index >= 0).reshape(shape).mean((1, 3))[..., None]
    image = background * (1 - share) + 255 * colors.reshape(*shape, 3).mean((1, 3))
    return np.round(image), index


FOCAL = np.array([[150.0, 0, 80], [0, 150, 60], [0, 0, 1]])
CAMERAS = [
    PerspectiveCamera(FOCAL, *SIZE),
    OrthographicCamera(np.array([[30.0, 4, 80], [-4, 30, 60]]), *SIZE),
]


@pytest.mark.parametrize('camera', CAMERAS, ids=['perspective', 'orthographic'])
@pytest.mark.parametrize('factor', [1, 2, 3])
def test_pixels_are_those_of_every_sample(sphere, camera, factor):
    vertices, faces = sphere
    rng = np.random.default_rng(0)
    bumpy = vertices * (1 + 0.15 * np.sin(7 * vertices[:, [1]] + 5 * vertices[:, [0]]))
    open_one = np.delete(faces, np.arange(200, 420), axis=0)  # shows its inside
    meshes = [
        RenderMesh(bumpy + np.array([0, 0, 5]), faces, (0.6, 0.7, 0.9)),
        RenderMesh(0.8 * bumpy + [1.1, 0.3, 4.6], open_one, rng.uniform(0.2, 1, vertices.shape)),
        RenderMesh(0.05 * vertices + [-1.3, -0.9, 4], faces, (1.0, 0.3, 0.2)),  # some pixels wide
        RenderMesh(0.9 * vertices + [-0.9, 1.1, 5.5], faces, (0.3, 0.9, 0.4)),
    ]
    background = rng.integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    expected, index = drawn_slowly(meshes, camera, background, factor)
    result = SoftwareRenderer(factor).render(meshes, camera, background)
    drawn = (index >= 0).reshape(SIZE[1], factor, SIZE[0], factor).any((1, 3))
    wrong = (np.abs(result.image - expected) > 1).any(-1)
    assert drawn.sum() > 5000 and not wrong[~drawn].any()
    assert wrong.sum() <= 0.001 * drawn.sum()
    if factor % 2:  # there is a sample at the centre of each pixel
        centers = index[factor // 2 :: factor, factor // 2 :: factor]
        assert np.array_equal(result.index, centers)
