# SPDX-License-Identifier: Apache-2.0
"""Edges and triangles of a mesh level from its adjacency or its faces."""

import numpy as np
from scipy import sparse


def without_diagonal(matrix: sparse.spmatrix) -> sparse.csr_matrix:
    """Boolean csr pattern of a square matrix with an empty diagonal and sorted columns."""
    coo = sparse.coo_matrix(matrix)
    keep = (coo.row != coo.col) & (coo.data != 0)
    pattern = sparse.csr_matrix(
        (np.ones(int(keep.sum()), dtype=bool), (coo.row[keep], coo.col[keep])), shape=coo.shape
    )
    pattern.sort_indices()
    return pattern


def edges_from_adjacency(adjacency: sparse.csr_matrix) -> np.ndarray:
    """(E, 2) int64 edges with the smaller vertex first, in lexicographic order."""
    upper = sparse.triu(adjacency, k=1).tocoo()
    edges = np.stack([upper.row, upper.col], axis=1).astype(np.int64)
    return edges[np.lexsort((edges[:, 1], edges[:, 0]))]


def triangles_from_adjacency(adjacency: sparse.csr_matrix) -> np.ndarray:
    """All 3-cliques of the graph: (F, 3) int64, rows ascending, in lexicographic order.

    On a closed mesh these are its faces and, beside them, the separating triangles (three edges
    that surround a neck of the mesh without being a face). The official ``smpl_1723_faces.npy``
    holds exactly this set for the 1723-vertex level.
    """
    upper = sparse.triu(adjacency, k=1).tocsr()
    upper.sort_indices()
    edges = edges_from_adjacency(adjacency)
    triangles = [np.zeros((0, 3), dtype=np.int64)]
    for a, b in edges:
        after_a = upper.indices[upper.indptr[a] : upper.indptr[a + 1]]
        after_b = upper.indices[upper.indptr[b] : upper.indptr[b + 1]]
        third = np.intersect1d(after_a, after_b, assume_unique=True)
        row = np.empty((len(third), 3), dtype=np.int64)
        row[:, 0], row[:, 1], row[:, 2] = a, b, third
        triangles.append(row)
    return np.concatenate(triangles)


def edges_from_faces(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Undirected edges of a triangle table and how many faces share each.

    Args:
        faces: (F, 3) integers.

    Returns:
        ``(edges (E, 2) int64 ascending, counts (E,))``.
    """
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(directed.astype(np.int64), axis=1), axis=0, return_counts=True)


def euler_number(faces: np.ndarray, num_vertices: int) -> int:
    """V - E + F of a triangle mesh: 2 for a closed surface without handles, 1 for a disc."""
    return num_vertices - len(edges_from_faces(faces)[0]) + len(faces)
