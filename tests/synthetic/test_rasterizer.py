# SPDX-License-Identifier: Apache-2.0
"""The z-buffer on triangles whose image is known."""

import numpy as np

from fastmetro_mm.synthetic.rasterizer import rasterize

# Clockwise on the image (rows run down) is counter-clockwise as seen from the camera's side.
FRONT = np.array([[0, 2, 1]])


def test_right_triangle_covers_the_known_pixels():
    seen = rasterize(np.array([[0.0, 0], [3, 0], [0, 3]]), np.ones(3), FRONT, (5, 5))
    assert seen.pixels.tolist() == [0, 1, 2, 3, 5, 6, 7, 10, 11, 15]


def test_back_side_is_culled_unless_wanted():
    points = np.array([[0.0, 0], [3, 0], [0, 3]])
    assert len(rasterize(points, np.ones(3), FRONT[:, ::-1], (5, 5)).pixels) == 0
    assert len(rasterize(points, np.ones(3), FRONT[:, ::-1], (5, 5), both_sides=True).pixels) == 10


def test_nearest_triangle_wins_whatever_the_order():
    points = np.tile(np.array([[0.0, 0], [8, 0], [0, 8]]), (2, 1))
    depth = np.array([2.0, 2, 2, 1, 1, 1])
    for faces, near in (([[0, 2, 1], [3, 5, 4]], 1), ([[3, 5, 4], [0, 2, 1]], 0)):
        seen = rasterize(points, depth, np.array(faces), (8, 8))
        assert set(seen.faces) == {near}
        np.testing.assert_allclose(seen.depth, 1.0)


def test_interpolation_is_perspective_correct():
    """A point halfway on the image between z = 1 and z = 3 has 1/z = (1 + 1/3) / 2."""
    points = np.array([[0.0, 0], [8, 0], [0, 8]])
    depth = np.array([1.0, 3, 1])
    seen = rasterize(points, depth, FRONT, (9, 9))
    middle = int(np.flatnonzero(seen.pixels == 4)[0])
    assert seen.depth[middle] == np.float32(1.5)
    values = seen.interpolate(depth[:, None].astype(np.float32), FRONT)
    np.testing.assert_allclose(values[:, 0], seen.depth, rtol=1e-6)


def test_parts_outside_the_image_or_behind_the_camera_are_left_out():
    points = np.array([[-10.0, -10], [30, -10], [-10, 30]])
    assert len(rasterize(points, np.ones(3), FRONT, (4, 3)).pixels) == 12
    assert len(rasterize(points, np.array([1.0, -1, 1]), FRONT, (4, 3)).pixels) == 0
    assert len(rasterize(points + 100, np.ones(3), FRONT, (4, 3)).pixels) == 0


def test_closed_mesh_leaves_no_holes(body_studio):
    """Neighbouring triangles meet without a gap: the mask of a body has no pinholes."""
    figure = body_studio.figure
    points = figure.rest[:, :2] * (90, -90) + (100, 100)
    seen = rasterize(points, 5 - figure.rest[:, 2], figure.faces, (200, 200))
    mask = np.zeros(200 * 200, dtype=bool)
    mask[seen.pixels] = True
    mask = mask.reshape(200, 200)
    around = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    assert not (around & ~mask[1:-1, 1:-1]).any()
    assert mask.sum() > 2000
