# SPDX-License-Identifier: Apache-2.0
"""The committed mesh levels of body and hand."""

import numpy as np
import pytest

from projects.open_body.mesh_checks import mesh_facts, vertex_adjacency

# file, model fixture, sizes, Euler number, largest mean and worst error of U in mm (per level)
CASES = [
    ('open_body_sampling.npz', 'open_body', (6890, 1723, 431), 2, ((1.0, 8.0), (3.5, 18.0))),
    ('open_hand_sampling.npz', 'open_hand', (778, 195), 1, ((1.0, 6.0),)),
]
parametrize = pytest.mark.parametrize(
    'name, model, sizes, euler, bounds', CASES, ids=['body', 'hand']
)


@parametrize
def test_faces_and_adjacency(sampling_matrix, request, name, model, sizes, euler, bounds):
    for level, size in enumerate(sizes):
        faces = sampling_matrix(name, 'F', level)
        facts = mesh_facts(faces, size)
        assert facts.manifold and facts.oriented and facts.components == 1
        assert (facts.euler, facts.boundary_loops) == (euler, 2 - euler)
        adjacency = sampling_matrix(name, 'A', level)
        assert adjacency.shape == (size, size)
        assert abs(adjacency - vertex_adjacency(faces, size)).max() == 0
    finest = request.getfixturevalue(model)['f']
    np.testing.assert_array_equal(sampling_matrix(name, 'F', 0), finest)


@parametrize
def test_down_keeps_vertices_and_up_inverts_it(
    sampling_matrix, request, name, model, sizes, euler, bounds
):
    vertices = request.getfixturevalue(model)['v_template']
    for level, (mean_bound, worst_bound) in enumerate(bounds):
        down, up = sampling_matrix(name, 'D', level), sampling_matrix(name, 'U', level)
        assert down.shape == (sizes[level + 1], sizes[level]) == up.shape[::-1]
        assert (np.diff(down.indptr) == 1).all() and (down.data == 1).all()
        assert len(np.unique(down.indices)) == sizes[level + 1]
        assert (np.diff(up.indptr) == 3).all()
        assert up.data.min() >= 0
        np.testing.assert_allclose(up.sum(axis=1), 1.0, atol=1e-6)
        product = (down @ up).toarray()
        np.testing.assert_array_equal(product, np.eye(sizes[level + 1]))
        error = np.linalg.norm(up @ (down @ vertices) - vertices, axis=1) * 1000
        assert error.mean() < mean_bound and error.max() < worst_bound
        vertices = down @ vertices


@parametrize
def test_up_rows_use_one_coarse_face(sampling_matrix, name, model, sizes, euler, bounds):
    for level in range(len(bounds)):
        up = sampling_matrix(name, 'U', level)
        faces = {tuple(sorted(f)) for f in sampling_matrix(name, 'F', level + 1)}
        assert {tuple(sorted(row)) for row in up.indices.reshape(-1, 3)} <= faces
