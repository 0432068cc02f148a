# SPDX-License-Identifier: Apache-2.0
"""The sampler and its geometry on meshes whose answers are known."""

import numpy as np
import pytest

from projects.open_body.closest_point import barycentric_closest, closest_on_mesh
from projects.open_body.mesh_checks import mesh_facts
from projects.open_body.sampling import build_levels, decimate_to_subset, levels_to_arrays


def sphere(subdivisions: int = 4) -> tuple[np.ndarray, np.ndarray]:
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions)
    return np.array(mesh.vertices), np.array(mesh.faces)


def disc(side: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """A gently bent open sheet of side x side vertices."""
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    vertices = np.stack([x, y, 0.3 * (x**2 - 0.5 * y**2)], axis=-1).reshape(-1, 3)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + side], axis=1),
            np.stack([corner + 1, corner + side + 1, corner + side], axis=1),
        ]
    )
    return vertices, faces


@pytest.mark.parametrize(
    'make, sizes, euler', [(sphere, (641, 160), 2), (disc, (144, 40), 1)], ids=['sphere', 'disc']
)
def test_levels_of_a_known_surface(make, sizes, euler):
    pytest.importorskip('fast_simplification')
    vertices, faces = make()
    levels = build_levels(vertices, faces, list(sizes))
    shift = np.array([0.3, -2.0, 5.0])
    for level, size in enumerate(sizes):
        down, up = levels.down[level], levels.up[level]
        facts = mesh_facts(levels.faces[level + 1], size)
        assert facts.manifold and facts.oriented and facts.euler == euler
        np.testing.assert_array_equal((down @ up).toarray(), np.eye(size))
        coarse = down @ vertices
        assert np.linalg.norm(up @ coarse - vertices, axis=1).max() < 0.3
        np.testing.assert_allclose(up @ (coarse + shift), up @ coarse + shift, atol=1e-12)
        vertices = coarse
    arrays = levels_to_arrays(levels)
    assert set(arrays) == {
        f'{m}{i}_{p}'
        for m, n in (('A', 3), ('U', 2), ('D', 2))
        for i in range(n)
        for p in ('data', 'indices', 'indptr', 'shape')
    } | {'F0', 'F1', 'F2'}


def test_size_must_shrink():
    vertices, faces = disc(6)
    with pytest.raises(ValueError, match='size 36 is not between 4 and the 36 vertices'):
        decimate_to_subset(vertices, faces, 36)


def test_closest_point_agrees_with_dense_search():
    rng = np.random.default_rng(0)
    triangles, points = rng.normal(size=(40, 3, 3)), rng.normal(size=(40, 3)) * 2
    weights = barycentric_closest(points, triangles)
    found = np.linalg.norm(points - np.einsum('nk,nkd->nd', weights, triangles), axis=1)
    steps = np.linspace(0, 1, 101)
    u, v = (a.ravel() for a in np.meshgrid(steps, steps))
    inside = u + v <= 1
    grid = np.stack([1 - u - v, u, v], axis=1)[inside]
    dense = np.linalg.norm(points[:, None] - np.einsum('gk,nkd->ngd', grid, triangles), axis=2).min(
        axis=1
    )
    assert np.all(found <= dense + 1e-9)
    np.testing.assert_allclose(found, dense, atol=0.05)


def test_closest_on_mesh_finds_the_sphere():
    vertices, faces = sphere(3)
    rng = np.random.default_rng(1)
    points = rng.normal(size=(50, 3))
    face, weights, distance = closest_on_mesh(points, vertices, faces)
    at = np.einsum('nk,nkd->nd', weights, vertices[faces[face]])
    np.testing.assert_allclose(distance, np.linalg.norm(points - at, axis=1))
    np.testing.assert_allclose(distance, abs(np.linalg.norm(points, axis=1) - 1), atol=0.01)


def test_mesh_facts_sees_defects():
    tetrahedron = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    facts = mesh_facts(tetrahedron, 4)
    assert facts.closed and facts.oriented and facts.euler == 2
    assert not mesh_facts(np.vstack([tetrahedron, [0, 1, 3]]), 4).manifold
    flipped = tetrahedron.copy()
    flipped[0] = flipped[0][::-1]
    assert not mesh_facts(flipped, 4).oriented
    two = np.vstack([tetrahedron, np.where(tetrahedron == 0, 0, tetrahedron + 3)])
    assert not mesh_facts(two, 7).manifold
    opened = mesh_facts(tetrahedron[:3], 4)
    assert opened.manifold and not opened.closed
    assert (opened.boundary_loops, opened.boundary_edges) == (1, 3)
