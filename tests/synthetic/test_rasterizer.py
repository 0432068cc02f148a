# SPDX-License-Identifier: Apache-2.0
"""The z-buffer on triangles whose image is known."""

import numpy as np

from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.synthetic.rasterizer import rasterize
from fastmetro_mm.visualization.render_types import RenderMesh
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer

# Clockwise on the image (rows run down) is counter-clockwise as seen from the camera's side.
FRONT = np.array([[0, 2, 1]])


def test_right_triangle_covers_the_known_pixels():
    seen = rasterize(np.array([[0.0, 0], [4, 0], [0, 4]]), np.ones(3), FRONT, (5, 5))
    assert seen.pixels.tolist() == [0, 1, 2, 5, 6, 10]  # centres on the edge belong to the next


def test_what_is_drawn_lies_where_labels_say():
    """A square from (2, 3) to (6, 7) fills columns 2 to 5 and rows 3 to 6, as a box would say."""
    points = np.array([[2.0, 3], [2, 7], [6, 7], [6, 3]])
    seen = rasterize(points, np.ones(4), np.array([[0, 1, 2], [0, 2, 3]]), (9, 10))
    rows, columns = np.divmod(seen.pixels, 9)
    assert len(seen.pixels) == 16 and set(columns) == {2, 3, 4, 5} and set(rows) == {3, 4, 5, 6}
    values = seen.interpolate(points.astype(np.float32), np.array([[0, 1, 2], [0, 2, 3]]))
    np.testing.assert_allclose(values, np.stack([columns, rows], 1) + 0.5, atol=1e-5)


def test_display_and_training_see_the_same_pixels(body_studio):
    """One rule and one z-buffer: the renderer's mesh numbers are where the drawing's pixels are."""
    figure = body_studio.figure
    vertices = figure.rest * (1, -1, -1) + (0, 0.1, 4)
    camera = PerspectiveCamera.from_focal_length(300.0, (160, 160))
    seen = rasterize(camera.project(vertices), vertices[:, 2], figure.faces, (160, 160))
    drawn = SoftwareRenderer().render([RenderMesh(vertices, figure.faces)], camera)
    shown = np.flatnonzero(drawn.index.ravel() == 0)
    assert len(shown) > 2000 and seen.pixels.tolist() == shown.tolist()
    np.testing.assert_allclose(seen.depth, drawn.depth.ravel()[shown], rtol=1e-5)


def test_back_side_is_culled_unless_wanted():
    points = np.array([[0.0, 0], [4, 0], [0, 4]])
    assert len(rasterize(points, np.ones(3), FRONT[:, ::-1], (5, 5)).pixels) == 0
    assert len(rasterize(points, np.ones(3), FRONT[:, ::-1], (5, 5), both_sides=True).pixels) == 6


def test_nearest_triangle_wins_whatever_the_order():
    points = np.tile(np.array([[0.0, 0], [8, 0], [0, 8]]), (2, 1))
    depth = np.array([2.0, 2, 2, 1, 1, 1])
    for faces, near in (([[0, 2, 1], [3, 5, 4]], 1), ([[3, 5, 4], [0, 2, 1]], 0)):
        seen = rasterize(points, depth, np.array(faces), (8, 8))
        assert set(seen.faces) == {near}
        np.testing.assert_allclose(seen.depth, 1.0)


def test_interpolation_is_perspective_correct():
    """A point halfway on the image between z = 1 and z = 3 has 1/z = (1 + 1/3) / 2."""
    points = np.array([[0.5, 0], [8.5, 0], [0.5, 8]])
    depth = np.array([1.0, 3, 1])
    seen = rasterize(points, depth, FRONT, (9, 9))
    middle = int(np.flatnonzero(seen.pixels == 4)[0])  # its centre is at x = 4.5
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
