# SPDX-License-Identifier: Apache-2.0
"""The open body on another mesh: subdivided, then decimated to any number of vertices."""

import numpy as np
from scipy import sparse

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import load_model_arrays
from projects.open_body.build import unit_rows
from projects.open_body.sampling import (
    build_levels,
    decimate_to_subset,
    levels_to_arrays,
    upsampling_matrix,
)

Arrays = dict[str, np.ndarray]


def subdivide(faces: np.ndarray, count: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Cut every triangle into four at the middles of its edges.

    Args:
        faces: (F, 3)
        count: Number of vertices.

    Returns:
        Matrix (V', V) that makes the new vertices of the old ones, which come first, and the
        (4 F, 3) new faces.
    """
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, middle = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = (count + middle.reshape(-1, 3)).T
    a, b, c = faces.T
    new = np.concatenate(
        [np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )
    rows = np.repeat(np.arange(len(edges)), 2)
    halves = sparse.csr_matrix(
        (np.full(edges.size, 0.5), (rows, edges.ravel())), (len(edges), count)
    )
    return sparse.vstack([sparse.eye(count), halves]).tocsr(), new


def resample(model: Arrays, regressors: Arrays, count: int) -> tuple[Arrays, Arrays]:
    """Bring a body of SMPL's layout onto a mesh of another number of vertices.

    New vertices lie on the old surface and move with it: template, shapes and weights are
    interpolated. Joint regressors read the old vertices off the new mesh.

    Args:
        model: As ``load_model_arrays`` gives it.
        regressors: ``J_regressor_h36m`` and ``J_regressor_extra``.
        count: Wanted vertices.

    Returns:
        Model and regressors on the new mesh.

    Raises:
        ValueError: No mesh of that size could be made.
    """
    template, faces = model['v_template'], model['f']
    old = len(template)
    blend = sparse.eye(old, format='csr')
    while blend.shape[0] <= count:
        step, faces = subdivide(faces, blend.shape[0])
        blend = (step @ blend).tocsr()
    fine = blend @ template
    kept, faces, owner = decimate_to_subset(fine, faces, count)
    back = upsampling_matrix(fine, kept, faces, owner)[:old]
    blend = blend[kept]

    def moved(values: np.ndarray) -> np.ndarray:
        return (blend @ values.reshape(old, -1)).reshape(count, *values.shape[1:])

    new = {key: moved(model[key]) for key in ('v_template', 'shapedirs', 'posedirs')}
    new |= {'weights': unit_rows(moved(model['weights'])), 'f': faces}
    new |= {'kintree_table': model['kintree_table']}
    new['J_regressor'] = unit_rows(model['J_regressor'] @ back)
    return new, {key: unit_rows(rows @ back) for key, rows in regressors.items()}


def open_body_arrays() -> tuple[Arrays, Arrays]:
    """Model and regressors of the open body."""
    assets = load_body_assets('open_body')
    return load_model_arrays('open_body'), {
        'J_regressor_h36m': assets.J_regressor_h36m,
        'J_regressor_extra': assets.J_regressor_extra,
    }


def levels_of(model: Arrays, sizes: list[int]) -> Arrays:
    """The arrays of ``sampling.npz`` for a model and the sizes of its two coarser levels."""
    return levels_to_arrays(build_levels(model['v_template'], model['f'], sizes))
