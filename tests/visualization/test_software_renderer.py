# SPDX-License-Identifier: Apache-2.0
"""The software renderer against shapes whose image is known."""

import numpy as np
import pytest

from fastmetro_mm.geometry.camera import OrthographicCamera, PerspectiveCamera
from fastmetro_mm.visualization import supersampling
from fastmetro_mm.visualization.render_types import Lighting, RenderMesh
from fastmetro_mm.visualization.shading import vertex_normals
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer

PIXELS = OrthographicCamera(np.array([[1.0, 0, 0], [0, 1, 0]]), 20, 10)
QUAD = np.array([[0, 1, 2], [0, 2, 3]])
FLAT_LIGHT = Lighting(ambient=1.0, lights=(), specular=0.0)


def rectangle(left, top, right, bottom, depth=1.0):
    return np.array(
        [[left, top, depth], [right, top, depth], [right, bottom, depth], [left, bottom, depth]]
    )


@pytest.mark.parametrize('supersample', [1, 2])
def test_rectangle_fills_exactly_its_pixels(supersample):
    renderer = SoftwareRenderer(supersample, FLAT_LIGHT)
    mesh = RenderMesh(rectangle(3, 2, 11, 7, 5.0), QUAD, (1.0, 0, 0))
    result = renderer.render([mesh], PIXELS, np.zeros((10, 20, 3), np.uint8))
    expected = np.full((10, 20), -1)
    expected[2:7, 3:11] = 0
    assert np.array_equal(result.index, expected)
    assert np.allclose(result.depth[expected == 0], 5.0)
    assert (result.depth[expected < 0] == 0).all()
    assert (result.image[expected == 0] == [255, 0, 0]).all()
    assert (result.image[expected < 0] == 0).all()


def test_half_covered_pixels_mix_with_the_background():
    mesh = RenderMesh(rectangle(3.5, 2, 11, 7), QUAD, (1.0, 1.0, 1.0))
    renderer = SoftwareRenderer(2, FLAT_LIGHT)
    result = renderer.render([mesh], PIXELS, np.full((10, 20, 3), 100, np.uint8))
    assert (result.image[2:7, 3] == 178).all()  # 100 / 2 + 255 / 2, rounded to even
    assert (result.image[2:7, 4] == 255).all()


def test_triangles_that_share_edges_leave_no_gap_and_count_once():
    # A fan of thin triangles around a point off the pixel grid.
    angles = np.linspace(0, 2 * np.pi, 98)[:-1]
    rim = np.stack([60.3 + 45 * np.cos(angles), 50.7 + 45 * np.sin(angles)], 1)
    points = np.vstack([[[60.3, 50.7]], rim])
    vertices = np.column_stack([points, np.ones(len(points))])
    numbers = np.arange(97)
    faces = np.stack([np.zeros(97, int), 1 + numbers, 1 + (numbers + 1) % 97], 1)
    camera = OrthographicCamera(np.array([[1.0, 0, 0], [0, 1, 0]]), 120, 100)
    result = SoftwareRenderer(1).render([RenderMesh(vertices, faces)], camera)
    y, x = np.mgrid[:100, :120] + 0.5
    inside = np.hypot(x - 60.3, y - 50.7) < 45 * np.cos(np.pi / 97) - 1e-9
    outside = np.hypot(x - 60.3, y - 50.7) > 45
    assert (result.index[inside] == 0).all()
    assert (result.index[outside] == -1).all()


def test_nearer_mesh_hides_farther_one_in_any_order(camera, sphere):
    vertices, faces = sphere
    far = RenderMesh(vertices + np.array([0, 0, 6]), faces, (1.0, 0, 0))
    near = RenderMesh(0.3 * vertices + np.array([0, 0, 3]), faces, (0, 1.0, 0))
    renderer = SoftwareRenderer()
    first, second = (renderer.render(meshes, camera) for meshes in ([far, near], [near, far]))
    assert first.index[60, 80] == 1 and second.index[60, 80] == 0
    assert np.array_equal(first.image, second.image)
    assert first.depth[60, 80] == pytest.approx(2.7, abs=0.02)


def test_intersecting_planes_meet_where_they_should():
    # One plane at depth 2, one from depth 1 (left) to 3 (right): they cross in the middle.
    level = RenderMesh(rectangle(0, 0, 20, 10, 2.0), QUAD)
    tilted_points = rectangle(0, 0, 20, 10)
    tilted_points[:, 2] = [1, 3, 3, 1]
    result = SoftwareRenderer(1).render([level, RenderMesh(tilted_points, QUAD)], PIXELS)
    assert (result.index[:, :10] == 1).all() and (result.index[:, 10:] == 0).all()


def test_perspective_depth_and_colour_are_correct_on_a_slanted_plane():
    camera = PerspectiveCamera.from_focal_length(100.0, (100, 100))
    points = np.array([[-1.0, -1, 2], [4, -1, 10], [4, 1, 10], [-1, 1, 2]])
    colors = np.zeros((4, 3))
    colors[[1, 2], 0] = 1.0  # red grows with the distance
    renderer = SoftwareRenderer(1, FLAT_LIGHT)
    result = renderer.render([RenderMesh(points, QUAD, colors)], camera)
    # Column 60: x / z = 0.105 and x = -1 + 5 (z - 2) / 8 give z = 2.25 / (0.625 - 0.105).
    depth = 2.25 / (0.625 - 0.105)
    assert result.depth[50, 60] == pytest.approx(depth, rel=1e-5)
    assert result.image[50, 60, 0] == round(255 * (depth - 2) / 8)


def test_sphere_has_its_analytic_silhouette(camera, sphere):
    vertices, faces = sphere
    result = SoftwareRenderer().render([RenderMesh(vertices + np.array([0, 0, 5]), faces)], camera)
    radius = 150 / np.sqrt(5**2 - 1)
    assert (result.index == 0).sum() == pytest.approx(np.pi * radius**2, rel=0.02)


def test_light_comes_from_above_and_both_sides_are_lit(camera, sphere):
    vertices, faces = sphere
    renderer = SoftwareRenderer()
    outside = renderer.render([RenderMesh(vertices + np.array([0, 0, 5]), faces)], camera).image
    assert outside[40, 80].sum() > outside[80, 80].sum() > 150
    inside_out = renderer.render(
        [RenderMesh(vertices + np.array([0, 0, 5]), faces[:, ::-1])], camera
    ).image
    assert np.abs(outside.astype(int) - inside_out).max() <= 1


def test_bends_are_the_same_in_bands_and_in_one(monkeypatch):
    generator = np.random.default_rng(0)
    covered = np.zeros((70, 50), np.uint8)
    for row in range(3, 66):  # its columns change from band to band
        covered[row, (7 * row) % 40 : (7 * row) % 40 + 9] = 1
    colors = generator.integers(0, 255, (70, 50, 3), np.uint8) * covered[..., None]
    points, window = np.zeros((1, 2)), (0, 0, 50, 70)
    found = []
    for band in (4, 64, 70):
        monkeypatch.setattr(supersampling, '_BAND', band)
        found.append(supersampling.unsure_pixels(colors, covered, points, window))
    assert np.array_equal(found[0], found[2]) and np.array_equal(found[1], found[2])
    assert 500 < found[2].sum() < found[2].size


def test_normals_of_a_sphere_point_outwards(sphere):
    vertices, faces = sphere
    normals = vertex_normals(vertices, faces)
    poles = np.abs(vertices[:, 1]) > 0.99
    assert ((normals * vertices).sum(1)[~poles] > 0.99).all()


def test_mesh_around_and_behind_the_camera_is_cut(camera, sphere):
    vertices, faces = sphere
    around = SoftwareRenderer().render([RenderMesh(vertices, faces)], camera)
    assert (around.index == 0).all()  # the camera stands inside
    assert around.depth.min() > 0.7 and around.depth.max() < 1.01
    behind = SoftwareRenderer().render([RenderMesh(vertices - np.array([0, 0, 3]), faces)], camera)
    assert (behind.index == -1).all()


def test_triangle_through_the_near_plane_keeps_its_far_part(camera):
    floor = np.array([[-1.0, 0.5, -2], [1, 0.5, -2], [1, 0.5, 4], [-1, 0.5, 4]])
    result = SoftwareRenderer().render([RenderMesh(floor, QUAD)], camera)
    row = 60 + round(150 * 0.5 / 2)  # floor at depth 2
    assert result.depth[row, 80] == pytest.approx(2, abs=0.06)
    assert (result.index[:60] == -1).all() and (result.index[-1] == 0).all()


def test_huge_triangle_is_drawn_within_memory(monkeypatch):
    monkeypatch.setattr('fastmetro_mm.visualization.scan_conversion.MAX_SPANS', 64)
    monkeypatch.setattr('fastmetro_mm.visualization.zbuffer.MAX_SAMPLES', 500)
    camera = OrthographicCamera(np.array([[1.0, 0, 0], [0, 1, 0]]), 300, 200)
    mesh = RenderMesh(rectangle(-1e5, -1e5, 1e5, 1e5, 3.0), QUAD)
    result = SoftwareRenderer().render([mesh], camera)
    assert (result.index == 0).all()


@pytest.mark.parametrize(
    'meshes',
    [
        [],
        [RenderMesh(np.zeros((0, 3)), np.zeros((0, 3)))],
        [RenderMesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))],
        [RenderMesh(np.full((3, 3), 1e4), np.array([[0, 1, 2]]))],
    ],
)
def test_nothing_to_see_leaves_the_background(camera, meshes):
    background = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    result = SoftwareRenderer().render(meshes, camera, background)
    assert np.array_equal(result.image, background)
    assert (result.index == -1).all() and (result.depth == 0).all()


def test_backs_of_closed_meshes_are_left_out_and_of_open_ones_drawn():
    from fastmetro_mm.visualization.lit_scene import LitScene, is_closed

    tetrahedron = np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])
    assert is_closed(tetrahedron)
    assert not is_closed(tetrahedron[:3])  # a hole
    assert not is_closed(np.array([[0, 1, 2], [0, 1, 3], [1, 3, 2], [2, 3, 0]]))  # one turned
    assert not is_closed(np.concatenate([tetrahedron, tetrahedron]))
    vertices = np.array([[0, 0, 3], [1, 0, 3], [0, 1, 3], [0.2, 0.2, 2.0]])
    meshes = [
        RenderMesh(vertices, tetrahedron, (0.5, 0.5, 0.5)),
        RenderMesh(vertices + 2, tetrahedron[:3], (0.5, 0.5, 0.5)),
    ]
    scene = LitScene(meshes, Lighting(), perspective=True)
    away = np.array([True, False, False, False, True, False, True])
    assert scene.leave_out_backs(away).tolist() == [1, 2, 3, 4, 5, 6]
    assert scene.mesh_index.tolist() == [0, 0, 0, 1, 1, 1]
    assert np.array_equal(scene.faces[3:], tetrahedron[:3] + 4)
    assert LitScene(meshes[1:], Lighting(), perspective=True).leave_out_backs(away[4:]) is None


def test_values_are_linear_on_the_image_plane():
    from fastmetro_mm.visualization.scan_conversion import Triangles, linear_at

    x, y = np.array([[700.5], [703.0], [701.0]]), np.array([[400.0], [400.5], [404.0]])
    triangles = Triangles(x, y, np.ones((3, 1)))
    at_x, at_y = np.array([701.5, 702.0]), np.array([401.0, 400.75])
    none = np.zeros(2, np.intp)
    plane, constant = linear_at(triangles, [0.25 * x - 0.5 * y, np.ones((3, 1))], none, at_x, at_y)
    np.testing.assert_allclose(plane, 0.25 * at_x - 0.5 * at_y, atol=1e-4)
    np.testing.assert_allclose(constant, 1)
