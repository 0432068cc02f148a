# SPDX-License-Identifier: Apache-2.0
"""Read the files with sampling matrices: the official ones and those of the open body."""

from pathlib import Path

import numpy as np
from scipy import sparse

from fastmetro_mm.body import topology
from fastmetro_mm.body.locations import PREPARE_HINT
from fastmetro_mm.errors import BodyDataError
from fastmetro_mm.foreign_files import archives
from fastmetro_mm.foreign_files.damage import raise_as

COPY_AGAIN = f'copy the official file again: {PREPARE_HINT}'
REINSTALL = 'the package is incomplete, install fastmetro_mm again'
Sampling = tuple[
    list[sparse.csr_matrix], list[sparse.csr_matrix], list[sparse.csr_matrix], list[np.ndarray]
]


def read_official_sampling(path: Path) -> Sampling:
    """A, U, D, F of ``mesh_downsampling.npz`` or ``mano_downsampling.npz``, all levels.

    Raises:
        BodyDataError: The file is damaged or lacks a member.
    """
    with raise_as(BodyDataError):
        file = archives.NpzFile(path, COPY_AGAIN)
        loaded = {key: file.read(key) for key in 'AUDF'}
    for key in 'AUD':
        if not all(sparse.issparse(matrix) for matrix in loaded[key]):
            raise BodyDataError(f'{path}: {key} does not hold sparse matrices; {COPY_AGAIN}')
    faces = [np.asarray(table, dtype=np.int64) for table in loaded['F']]
    return (
        [topology.without_diagonal(matrix) for matrix in loaded['A']],
        [_clean_csr(matrix) for matrix in loaded['U']],
        [_clean_csr(matrix) for matrix in loaded['D']],
        faces,
    )


def read_open_sampling(path: Path) -> Sampling:
    """A, U, D, F of the open body's plain-array file (csr parts per level).

    Raises:
        BodyDataError: The file is damaged or lacks a member.
    """
    arrays = load_npz(path)

    def matrices(letter: str) -> list[sparse.csr_matrix]:
        found = []
        while f'{letter}{len(found)}_data' in arrays:
            stem = f'{letter}{len(found)}_'
            try:
                parts = tuple(arrays[stem + part] for part in ('data', 'indices', 'indptr'))
                shape = tuple(int(n) for n in arrays[stem + 'shape'])
                found.append(sparse.csr_matrix(parts, shape=shape))
            except (KeyError, ValueError) as error:
                raise BodyDataError(
                    f'{path}: {stem[:-1]} is damaged ({error}); {REINSTALL}'
                ) from None
        return found

    faces = []
    while f'F{len(faces)}' in arrays:
        faces.append(arrays[f'F{len(faces)}'].astype(np.int64))
    return (
        [topology.without_diagonal(matrix) for matrix in matrices('A')],
        [_clean_csr(matrix) for matrix in matrices('U')],
        [_clean_csr(matrix) for matrix in matrices('D')],
        faces,
    )


def _clean_csr(matrix: sparse.spmatrix) -> sparse.csr_matrix:
    result = sparse.csr_matrix(matrix, dtype=np.float64)
    result.eliminate_zeros()
    result.sort_indices()
    return result


def load_npy(path: Path) -> np.ndarray:
    """Array of a ``.npy`` file without pickles.

    Raises:
        BodyDataError: The file is damaged.
    """
    with raise_as(BodyDataError):
        return archives.load_npy(path, COPY_AGAIN)


def load_npz(path: Path, keys: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` file of this package, all or some.

    Raises:
        BodyDataError: The file is damaged or lacks a key.
    """
    with raise_as(BodyDataError):
        file = archives.NpzFile(path, REINSTALL)
        return {key: file.read(key) for key in (file.names if keys is None else keys)}
