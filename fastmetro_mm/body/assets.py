# SPDX-License-Identifier: Apache-2.0
"""Mesh levels, sampling matrices and joint regressors of a body: all that needs no licence key.

Official files (``mesh_downsampling.npz``, ``mano_downsampling.npz``, the regressors and the
``smpl_1723_*`` tables) and the files of the open body give the same :class:`BodyAssets`.
From the official sampling files only A, U, D and F are read; the members M and V, which hold
template geometry, are never touched.
"""

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from fastmetro_mm.body import topology
from fastmetro_mm.body.locations import (
    OPEN_BODY_FOLDER,
    existing_body_file,
    find_body_file,
    resolve_body_data_root,
)
from fastmetro_mm.body.sampling_files import (
    COPY_AGAIN,
    REINSTALL,
    load_npy,
    load_npz,
    read_official_sampling,
    read_open_sampling,
)
from fastmetro_mm.errors import BodyDataError, ConfigError


@dataclass(frozen=True)
class BodyKind:
    """What is known about a body before any file is read."""

    sampling_file: str  # name of the file with A, U, D and F
    # vertices of every level, finest first; the official file may hold more levels
    levels: tuple[int, ...]
    joint_set: str  # joints that a network predicts for it: ``'j14'``, or ``'hand21'`` for hands
    loss_level: int  # level of the edge and normal losses
    closed: bool  # whether the surface is closed; a hand is open at the wrist
    is_open: bool  # whether the files need no licence: those inside the package, and own ones
    folder: Path = OPEN_BODY_FOLDER  # where they lie then
    model_file: str = ''  # name of their model file
    regressor_file: str = 'open_body_regressors.npz'  # name of their file with joint regressors


BODY_KINDS = {
    'smpl': BodyKind('mesh_downsampling.npz', (6890, 1723, 431), 'j14', 1, True, False),
    'mano': BodyKind('mano_downsampling.npz', (778, 195), 'hand21', 0, False, False),
    'open_body': BodyKind(
        'open_body_sampling.npz',
        (6890, 1723, 431),
        'j14',
        1,
        True,
        True,
        model_file='OPEN_BODY.npz',
    ),
    'open_hand': BodyKind(
        'open_hand_sampling.npz',
        (778, 195),
        'hand21',
        0,
        False,
        True,
        model_file='OPEN_HAND_RIGHT.npz',
    ),
}
REGRESSOR_FILES = {
    'h36m': ('J_regressor_h36m_correct.npy', 'J_regressor_h36m', 17),
    'extra': ('J_regressor_extra.npy', 'J_regressor_extra', 14),
}
LOSS_EDGES, LOSS_FACES = 'smpl_1723_edges.npy', 'smpl_1723_faces.npy'


def body_kind(name: str) -> BodyKind:
    """Facts about a body by its config name.

    Raises:
        ValueError: The name is unknown.
    """
    if name not in BODY_KINDS:
        raise ConfigError(f"unknown body '{name}'; use one of {', '.join(sorted(BODY_KINDS))}")
    return BODY_KINDS[name]


class BodyAssets:
    """Mesh levels and fixed matrices of one body or hand.

    Attributes:
        name: Config name (``'smpl'``, ``'mano'``, ``'open_body'``, ``'open_hand'``).
        root: Folder the files are searched in.
        joint_set: Joints that a network predicts for it.
        num_vertices: Vertices of every level, finest first.
        faces: Per level, (F, 3) int64 triangles.
        up: ``up[i]`` maps level i+1 to level i: csr (n_i, n_{i+1}) float64. Rows of the official
            matrices do not all sum to one, so they are not translation invariant.
        down: ``down[i]`` maps level i to level i+1: csr (n_{i+1}, n_i), one-hot rows.
        adjacency: Per level, csr bool (n_i, n_i), symmetric, without the diagonal.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        adjacency: list[sparse.csr_matrix],
        up: list[sparse.csr_matrix],
        down: list[sparse.csr_matrix],
        faces: list[np.ndarray],
    ) -> None:
        kind = body_kind(name)
        self.name = name
        self.root = root
        self.joint_set = kind.joint_set
        self._loss_level = kind.loss_level
        self.adjacency = tuple(adjacency)
        self.up = tuple(up)
        self.down = tuple(down)
        self.faces = tuple(faces)
        self.num_vertices = tuple(len(matrix.indptr) - 1 for matrix in adjacency)

    @functools.cached_property
    def J_regressor_h36m(self) -> np.ndarray:
        """(17, V) float64: H36M joints (order ``joint_sets.H36M17``) from fine vertices."""
        return self._regressor('h36m')

    @functools.cached_property
    def J_regressor_extra(self) -> np.ndarray:
        """(14, V) float64: extra joints (order ``joint_sets.EXTRA14``) from fine vertices."""
        return self._regressor('extra')

    @functools.cached_property
    def loss_edges(self) -> np.ndarray:
        """(E, 2) int64 edges of the edge losses: level 1 of a body, level 0 of a hand."""
        stored = self._loss_table(LOSS_EDGES, 2)
        if stored is not None:
            return stored
        return topology.edges_from_adjacency(self.adjacency[self._loss_level])

    @functools.cached_property
    def loss_faces(self) -> np.ndarray:
        """(F, 3) int64 faces of the normal losses: level 1 of a body, level 0 of a hand.

        SMPL keeps the official table, nine spurious triangles included, because released
        checkpoints were trained with it; without the file the same table is derived. Hands and
        the open body use their true faces.
        """
        if self.name != 'smpl':
            return self.faces[self._loss_level]
        stored = self._loss_table(LOSS_FACES, 3)
        return topology.triangles_from_adjacency(self.adjacency[1]) if stored is None else stored

    def _loss_table(self, file_name: str, columns: int) -> np.ndarray | None:
        path = existing_body_file(self.root, (file_name,)) if self.name == 'smpl' else None
        if path is None:
            return None
        table = load_npy(path)
        if table.ndim != 2 or table.shape[1] != columns or table.dtype.kind not in 'iu':
            raise BodyDataError(
                f'{path}: expected integers of shape (n, {columns}), '
                f'found {table.dtype} {table.shape}; {COPY_AGAIN}'
            )
        if table.min() < 0 or table.max() >= self.num_vertices[1]:
            raise BodyDataError(
                f'{path}: vertex numbers must lie in 0..{self.num_vertices[1] - 1}; {COPY_AGAIN}'
            )
        return table.astype(np.int64)

    def _regressor(self, which: str) -> np.ndarray:
        file_name, key, rows = REGRESSOR_FILES[which]
        if self.joint_set == 'hand21':
            raise ConfigError(f"body '{self.name}' is a hand: it has no {key}")
        if body_kind(self.name).is_open:
            names = (body_kind(self.name).regressor_file,)
            path = find_body_file(self.root, names, 'open-body joint regressor', REINSTALL)
            value = load_npz(path, (key,))[key]
        else:
            path = find_body_file(self.root, (file_name,), 'joint regressor')
            value = load_npy(path)
        if value.shape != (rows, self.num_vertices[0]):
            raise BodyDataError(
                f'{path}: {key} must be ({rows}, {self.num_vertices[0]}), '
                f'found {value.shape}; {COPY_AGAIN}'
            )
        return value.astype(np.float64)


def load_body_assets(name: str, body_data_root: str | os.PathLike | None = None) -> BodyAssets:
    """Load the mesh levels and matrices of a body; cached by name and folder.

    Args:
        name: ``'smpl'``, ``'mano'``, ``'open_body'`` or ``'open_hand'``.
        body_data_root: Folder with the official files (``FASTMETRO_BODY_DATA`` wins over it,
            ``None`` means ``data/body_models``). The open ones lie inside the package.

    Returns:
        The assets; the same object on every call with the same folder. Do not write to it.

    Raises:
        MissingBodyFileError: The sampling file is missing; the message says how to get it.
        BodyDataError: A file has the wrong content or size.
        ValueError: The name is unknown.
    """
    kind = body_kind(name)
    root = kind.folder if kind.is_open else resolve_body_data_root(body_data_root)
    return _load(name, root)


@functools.lru_cache(maxsize=16)
def _load(name: str, root: Path) -> BodyAssets:
    kind = body_kind(name)
    fix = REINSTALL if kind.is_open else None
    path = find_body_file(root, (kind.sampling_file,), f"mesh levels of body '{name}'", fix)
    parts = read_open_sampling(path) if kind.is_open else read_official_sampling(path)
    adjacency, up, down, faces = parts
    levels = len(kind.levels)
    found = tuple(len(matrix.indptr) - 1 for matrix in adjacency[:levels])
    if found != kind.levels or len(up) < levels - 1 or len(faces) < levels:
        raise BodyDataError(
            f"{path}: body '{name}' needs levels of {kind.levels} vertices, "
            f'found {found}; {REINSTALL if kind.is_open else COPY_AGAIN}'
        )
    for i in range(levels - 1):
        n, m = kind.levels[i], kind.levels[i + 1]
        if up[i].shape != (n, m) or down[i].shape != (m, n):
            raise BodyDataError(
                f'{path}: U[{i}] must be ({n}, {m}) and D[{i}] ({m}, {n}), found '
                f'{up[i].shape} and {down[i].shape}; {COPY_AGAIN}'
            )
    for i in range(levels):
        if faces[i].ndim != 2 or faces[i].shape[1] != 3 or faces[i].max() >= kind.levels[i]:
            raise BodyDataError(
                f'{path}: F[{i}] is not a table of triangles over '
                f'{kind.levels[i]} vertices; {COPY_AGAIN}'
            )
    return BodyAssets(
        name, root, adjacency[:levels], up[: levels - 1], down[: levels - 1], faces[:levels]
    )
