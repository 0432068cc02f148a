# SPDX-License-Identifier: Apache-2.0
"""Mesh levels: down- and up-sampling matrices, adjacency and faces of any triangle mesh.

The levels have the properties of the official ones (coarse vertices are a subset of the fine
ones, ``D @ U`` is the identity, three weights per row of ``U``) but every row of ``U`` is a convex
combination, so moving the whole coarse mesh moves the fine one with it exactly.
Needs ``fast_simplification`` (build time only).
"""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from projects.open_body.closest_point import closest_on_candidates, faces_around_vertices
from projects.open_body.mesh_checks import mesh_facts, vertex_adjacency

_SHIFTS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.1)


@dataclass
class MeshLevels:
    """A pyramid of meshes; index 0 is the finest.

    Attributes:
        faces: per level (F_i, 3) int64.
        adjacency: per level csr (V_i, V_i).
        up: ``up[i]`` csr (V_i, V_{i+1}), three stored entries per row.
        down: ``down[i]`` csr (V_{i+1}, V_i), one-hot rows.
    """

    faces: list[np.ndarray]
    adjacency: list[csr_matrix]
    up: list[csr_matrix] = field(default_factory=list)
    down: list[csr_matrix] = field(default_factory=list)


def build_levels(vertices: np.ndarray, faces: np.ndarray, sizes: list[int]) -> MeshLevels:
    """Build the coarser levels of a mesh.

    Args:
        vertices: (V, 3), any unit.
        faces: (F, 3), one oriented manifold surface, closed or open.
        sizes: vertex counts of the coarser levels, decreasing.

    Raises:
        ValueError: a size is not smaller than the level before, or no manifold mesh of that
            size could be made.
    """
    faces = np.asarray(faces, dtype=np.int64)
    levels = MeshLevels([faces], [vertex_adjacency(faces, len(vertices))])
    vertices = np.asarray(vertices, dtype=np.float64)
    for size in sizes:
        kept, coarse_faces, owner = decimate_to_subset(vertices, faces, size)
        levels.down.append(
            csr_matrix((np.ones(size), (np.arange(size), kept)), shape=(size, len(vertices)))
        )
        levels.up.append(upsampling_matrix(vertices, kept, coarse_faces, owner))
        vertices, faces = vertices[kept], coarse_faces
        levels.faces.append(faces)
        levels.adjacency.append(vertex_adjacency(faces, size))
    return levels


def decimate_to_subset(
    vertices: np.ndarray, faces: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Collapse edges until ``size`` vertices are left, then move each onto an original vertex.

    Each coarse vertex stands for a cluster of fine ones (those collapsed into it); it takes the
    place of the nearest member of its cluster, so no fine vertex is taken twice.

    Returns:
        kept (size,) fine vertex numbers ascending, faces (F', 3) of the coarse mesh,
        owner (V,) the coarse vertex each fine one was collapsed into.

    Raises:
        ValueError: see :func:`build_levels`.
    """
    if not 3 < size < len(vertices):
        raise ValueError(
            f'mesh levels: size {size} is not between 4 and the {len(vertices)} vertices of the '
            'level before; list decreasing sizes'
        )
    want = mesh_facts(faces, len(vertices))
    # the order of collapses decides: where none of these is manifold, points are shifted a little
    edge = np.linalg.norm(vertices[faces[:, 0]] - vertices[faces[:, 1]], axis=1).mean()
    noise = np.random.default_rng(0)
    for shift, aggressiveness in itertools.product(_SHIFTS, (7.0, 5.0, 4.0, 3.0, 2.0, 9.0)):
        moved = (
            vertices + shift * edge * noise.standard_normal(vertices.shape) if shift else vertices
        )
        points, coarse_faces, owner = collapse_to(moved, faces, size, aggressiveness)
        if len(points) != size:
            continue
        found = mesh_facts(coarse_faces, size)
        if (found.manifold, found.euler, found.boundary_loops, found.components) != (
            want.manifold,
            want.euler,
            want.boundary_loops,
            want.components,
        ):
            continue
        kept = _nearest_members(vertices, points, owner)
        order = np.argsort(kept)
        rank = np.empty(size, dtype=np.int64)
        rank[order] = np.arange(size)
        return kept[order], rank[coarse_faces], rank[owner]
    raise ValueError(
        f'mesh levels: no manifold mesh of exactly {size} vertices could be made from '
        f'{len(vertices)}; try another size'
    )


def collapse_to(
    vertices: np.ndarray, faces: np.ndarray, size: int, aggressiveness: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Collapse edges until exactly ``size`` vertices are left (manifoldness is not checked).

    The collapses run a little further than needed and exactly as many as wanted are replayed.

    Returns:
        points (size, 3) placed by the quadrics, faces, owner (V,) of each fine vertex.
    """
    import fast_simplification

    # A closed or open disc loses at most two faces per vertex; aim lower, stop the replay on time.
    target = max(4, len(faces) - 2 * (len(vertices) - size) - 8)
    _, _, collapses = fast_simplification.simplify(
        vertices.astype(np.float32),
        faces.astype(np.int32),
        target_count=target,
        agg=aggressiveness,
        return_collapses=True,
    )
    count = len(vertices) - size
    points, coarse_faces, owner = replay(vertices, faces, collapses[:count])
    # Where a border vertex lost its last face it was dropped as well: replay fewer collapses.
    while len(points) < size and count > 0:
        count -= size - len(points)
        points, coarse_faces, owner = replay(vertices, faces, collapses[:count])
    return points, coarse_faces, _repair_owner(vertices, points, owner)


def _repair_owner(vertices: np.ndarray, points: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Give dropped vertices, which have no meaningful owner, the nearest coarse vertex."""
    nearest_distance, nearest = cKDTree(points).query(vertices)
    distance = np.linalg.norm(vertices - points[owner], axis=1)
    lost = distance > 6 * nearest_distance + np.median(distance)
    lost[np.unique(owner, return_index=True)[1]] = False
    return np.where(lost, nearest, owner)


def replay(
    points: np.ndarray, faces: np.ndarray, collapses: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Apply recorded collapses; returns points, faces and each fine vertex's coarse vertex."""
    import fast_simplification

    points, faces, owner = fast_simplification.replay_simplification(
        points.astype(np.float32), faces.astype(np.int32), np.ascontiguousarray(collapses)
    )
    return points.astype(np.float64), faces.astype(np.int64), owner.astype(np.int64)


def _nearest_members(vertices: np.ndarray, points: np.ndarray, owner: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm(vertices - points[owner], axis=1)
    order = np.lexsort((distance, owner))
    return order[np.r_[True, np.diff(owner[order]) > 0]]


def upsampling_matrix(
    vertices: np.ndarray, kept: np.ndarray, coarse_faces: np.ndarray, owner: np.ndarray
) -> csr_matrix:
    """Rows of barycentric weights that put each fine vertex on the coarse mesh.

    Only faces around the coarse vertex a fine one was collapsed into, and around that vertex's
    neighbours, are tried: a fingertip never hangs on the next finger.

    Args:
        vertices: (V, 3) of the fine mesh.
        kept: (C,) fine numbers of the coarse vertices.
        coarse_faces: (F', 3) in coarse numbers.
        owner: (V,) coarse vertex of each fine one.

    Returns:
        csr (V, C) with exactly three stored entries per row (zeros stored where the point lies on
        an edge or a vertex); rows sum to 1; rows of kept vertices are one-hot.
    """
    coarse = vertices[kept]
    around = faces_around_vertices(coarse_faces, len(kept))
    wide = [
        np.unique(np.concatenate([around[n] for n in np.unique(coarse_faces[own])]))
        for own in around
    ]
    face, weights, _ = closest_on_candidates(
        vertices, coarse, coarse_faces, [wide[o] for o in owner]
    )
    columns = coarse_faces[face]
    columns[kept] = coarse_faces[[a[0] for a in around]]
    weights[kept] = columns[kept] == np.arange(len(kept))[:, None]
    order = np.argsort(columns, axis=1)
    columns = np.take_along_axis(columns, order, axis=1)
    weights = np.take_along_axis(weights, order, axis=1)
    return csr_matrix(
        (weights.ravel(), columns.ravel(), np.arange(0, columns.size + 1, 3)),
        shape=(len(vertices), len(kept)),
    )


def levels_to_arrays(levels: MeshLevels) -> dict[str, np.ndarray]:
    """The plain arrays of a sampling file: ``A{i}_*``, ``U{i}_*``, ``D{i}_*`` (csr), ``F{i}``."""
    arrays: dict[str, np.ndarray] = {}
    for name, matrices in (('A', levels.adjacency), ('U', levels.up), ('D', levels.down)):
        for i, matrix in enumerate(matrices):
            arrays[f'{name}{i}_data'] = matrix.data.astype(np.float32)
            arrays[f'{name}{i}_indices'] = matrix.indices.astype(np.int32)
            arrays[f'{name}{i}_indptr'] = matrix.indptr.astype(np.int32)
            arrays[f'{name}{i}_shape'] = np.array(matrix.shape, dtype=np.int64)
    for i, faces in enumerate(levels.faces):
        arrays[f'F{i}'] = faces.astype(np.int64)
    return arrays


def save_levels(path: Path, levels: MeshLevels) -> None:
    """Write the sampling file."""
    np.savez_compressed(path, **levels_to_arrays(levels))
