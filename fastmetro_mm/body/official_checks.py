# SPDX-License-Identifier: Apache-2.0
"""Checks of the official body-data files, before they are trusted or copied.

Each check raises a ``BodyDataError`` whose one line names the file and what is wrong, and returns
one line that says what was found. The facts checked are those measured on the files of the
FastMETRO and METRO repositories.
"""

from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from fastmetro_mm.body import topology
from fastmetro_mm.body.assets import BODY_KINDS
from fastmetro_mm.body.sampling_files import load_npy, read_official_sampling
from fastmetro_mm.errors import BodyDataError
from fastmetro_mm.foreign_files.damage import raise_as
from fastmetro_mm.foreign_files.torch_files import read_torch_file

_REGRESSOR_SUM_TOLERANCE = 1e-3


def check_sampling(path: Path, name: str) -> str:
    """Check ``mesh_downsampling.npz`` (``'smpl'``) or ``mano_downsampling.npz`` (``'mano'``).

    Levels and sizes, symmetric A, one-hot D, at most three weights in a row of U, D U = I, faces
    that agree with A and form a closed (body) or once-opened (hand) oriented manifold.

    Raises:
        BodyDataError: A check failed.
    """
    kind = BODY_KINDS[name]
    adjacency, up, down, faces = read_official_sampling(path)
    levels = kind.levels
    found = tuple(len(matrix.indptr) - 1 for matrix in adjacency[: len(levels)])
    if found != levels:
        raise BodyDataError(f'{path}: levels must have {levels} vertices, found {found}')
    for level, size in enumerate(levels):
        where = f'{path}: level {level}'
        matrix = adjacency[level]
        if matrix.shape != (size, size) or (matrix != matrix.T).nnz:
            raise BodyDataError(f'{where}: A must be square and symmetric')
        _check_surface(faces[level], matrix, kind.closed, where)
    for level in range(len(levels) - 1):
        _check_pair(up[level], down[level], levels[level : level + 2], f'{path}: level {level}')
    shape = 'one open boundary at the wrist, Euler 1' if not kind.closed else 'closed, Euler 2'
    sizes = '-'.join(str(n) for n in levels)
    return (f'{path.name}: levels {sizes}, A symmetric, D one-hot, U up to 3 weights per row, '
            f'D U = I, faces oriented, {shape}')  # fmt: skip


def _check_pair(
    up: sparse.csr_matrix, down: sparse.csr_matrix, sizes: tuple[int, ...], where: str
) -> None:
    fine, coarse = sizes
    if up.shape != (fine, coarse) or down.shape != (coarse, fine):
        raise BodyDataError(
            f'{where}: U must be ({fine}, {coarse}) and D ({coarse}, {fine}), '
            f'found {up.shape} and {down.shape}'
        )
    if not (np.diff(down.indptr) == 1).all() or not (down.data == 1).all():
        raise BodyDataError(f'{where}: every row of D must pick exactly one vertex')
    counts = np.diff(up.indptr)
    if counts.min() < 1 or counts.max() > 3:
        raise BodyDataError(
            f'{where}: every row of U must hold one to three weights, found '
            f'{counts.min()} to {counts.max()}'
        )
    product = (down @ up - sparse.identity(coarse)).tocoo()
    if product.nnz and np.abs(product.data).max() > 1e-6:
        raise BodyDataError(f'{where}: D U must be the identity')


def _check_surface(
    faces: np.ndarray, adjacency: sparse.csr_matrix, closed: bool, where: str
) -> None:
    size = len(adjacency.indptr) - 1
    if faces.min() < 0 or faces.max() >= size:
        raise BodyDataError(f'{where}: F names vertices beyond {size - 1}')
    edges, counts = topology.edges_from_faces(faces)
    if not np.array_equal(edges, topology.edges_from_adjacency(adjacency)):
        raise BodyDataError(f'{where}: the edges of F and A differ')
    if counts.max() > 2 or (counts.min() < 2 and closed):
        raise BodyDataError(
            f'{where}: the faces are not a {"closed manifold" if closed else "manifold"}'
        )
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    if len(np.unique(directed, axis=0)) != len(directed):
        raise BodyDataError(f'{where}: the faces are not oriented alike')
    euler, expected = topology.euler_number(faces, size), 2 if closed else 1
    if euler != expected:
        raise BodyDataError(f'{where}: Euler number must be {expected}, found {euler}')


def check_regressor(path: Path, rows: int, vertices: int = 6890) -> str:
    """Check a joint regressor: shape, finite weights, rows that sum to one.

    Raises:
        BodyDataError: A check failed.
    """
    value = load_npy(path)
    if value.shape != (rows, vertices):
        raise BodyDataError(f'{path}: expected shape ({rows}, {vertices}), found {value.shape}')
    sums = value.sum(axis=1)
    if not np.abs(sums - 1).max() < _REGRESSOR_SUM_TOLERANCE:
        raise BodyDataError(
            f'{path}: every row must sum to one, found {sums.min():.4f} to {sums.max():.4f}'
        )
    used = int((value != 0).any(axis=0).sum())
    return f'{path.name}: {rows} joints from {used} of {vertices} vertices'


def check_loss_tables(edges_path: Path, faces_path: Path, sampling_path: Path) -> str:
    """Check that the 1723-vertex edge and face tables are those of A[1].

    Raises:
        BodyDataError: A table differs.
    """
    adjacency = read_official_sampling(sampling_path)[0][1]
    edges, faces = load_npy(edges_path), load_npy(faces_path)
    if not np.array_equal(edges, topology.edges_from_adjacency(adjacency)):
        raise BodyDataError(f'{edges_path}: not the edges of A[1] in {sampling_path.name}')
    if not np.array_equal(faces, topology.triangles_from_adjacency(adjacency)):
        raise BodyDataError(f'{faces_path}: not the triangles of A[1] in {sampling_path.name}')
    return (f'{edges_path.name}, {faces_path.name}: {len(edges)} edges and {len(faces)} '
            'triangles, equal to those derived from A[1]')  # fmt: skip


def check_adjacency_files(folder: Path, stem: str, sampling_path: Path, level: int) -> str:
    """Check that ``{stem}_adjmat_*.pt`` is A + I of a level with normalised rows.

    Raises:
        BodyDataError: The files differ from the matrix.
    """
    parts = []
    for part in ('indices', 'values', 'size'):
        path = folder / f'{stem}_adjmat_{part}.pt'
        with raise_as(BodyDataError):
            parts.append(read_torch_file(path))
    indices, values, size = parts
    adjacency = read_official_sampling(sampling_path)[0][level]
    pattern = adjacency.toarray() | np.eye(len(adjacency.indptr) - 1, dtype=bool)
    expected = pattern / pattern.sum(axis=1, keepdims=True)
    try:
        matrix = torch.sparse_coo_tensor(indices, values, tuple(size), check_invariants=True)
    except (RuntimeError, TypeError, ValueError) as error:
        raise BodyDataError(
            f'{folder / stem}_adjmat_*.pt: not a sparse matrix ({str(error).splitlines()[0][:200]})'
        ) from None
    stored = matrix.to_dense().numpy()
    if stored.shape != expected.shape or not np.allclose(stored, expected, atol=1e-6):
        raise BodyDataError(
            f'{folder / stem}_adjmat_*.pt: not A[{level}] + I of '
            f'{sampling_path.name} with rows divided by their sums'
        )
    return f'{stem}_adjmat_*.pt: equal to A[{level}] + I (not needed here, not copied)'
