# SPDX-License-Identifier: Apache-2.0
"""Closest points on triangles, with barycentric coordinates (numpy only)."""

import numpy as np
from scipy.spatial import cKDTree


def barycentric_closest(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Barycentric coordinates of the point of each triangle closest to its point.

    The case analysis over the seven Voronoi regions follows Ericson, Real-Time Collision
    Detection, section 5.1.5.

    Args:
        points: (N, 3).
        triangles: (N, 3, 3), one triangle per point.

    Returns:
        (N, 3) weights, non-negative, rows sum to 1.
    """
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    ab, ac = b - a, c - a
    d1, d2 = _dot(ab, points - a), _dot(ac, points - a)
    d3, d4 = _dot(ab, points - b), _dot(ac, points - b)
    d5, d6 = _dot(ab, points - c), _dot(ac, points - c)
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2

    denominator = _safe(va + vb + vc)
    v, w = vb / denominator, vc / denominator
    result = np.stack([1 - v - w, v, w], axis=1)

    # Later assignments win, so the regions are listed from the weakest test to the strongest.
    t = (d4 - d3) / _safe((d4 - d3) + (d5 - d6))
    _assign(result, (va <= 0) & (d4 - d3 >= 0) & (d5 - d6 >= 0), 0 * t, 1 - t, t)
    t = d2 / _safe(d2 - d6)
    _assign(result, (vb <= 0) & (d2 >= 0) & (d6 <= 0), 1 - t, 0 * t, t)
    t = d1 / _safe(d1 - d3)
    _assign(result, (vc <= 0) & (d1 >= 0) & (d3 <= 0), 1 - t, t, 0 * t)
    one, zero = np.ones_like(t), np.zeros_like(t)
    _assign(result, (d6 >= 0) & (d5 <= d6), zero, zero, one)
    _assign(result, (d3 >= 0) & (d4 <= d3), zero, one, zero)
    _assign(result, (d1 <= 0) & (d2 <= 0), one, zero, zero)
    result = np.clip(result, 0.0, 1.0)
    return result / result.sum(axis=1, keepdims=True)


def closest_on_candidates(
    points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, candidates: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Closest point of a mesh for each point, looking only at that point's candidate faces.

    Args:
        points: (N, 3).
        vertices: (V, 3).
        faces: (F, 3).
        candidates: for each point the face numbers to try (at least one).

    Returns:
        face (N,), weights (N, 3), distance (N,) in the unit of the points.
    """
    owner = np.repeat(np.arange(len(points)), [len(c) for c in candidates])
    face = np.concatenate(candidates)
    triangles = vertices[faces[face]]
    weights = barycentric_closest(points[owner], triangles)
    distance = np.linalg.norm(points[owner] - np.einsum('nk,nkd->nd', weights, triangles), axis=1)
    order = np.lexsort((distance, owner))
    first = order[np.r_[True, np.diff(owner[order]) > 0]]
    return face[first], weights[first], distance[first]


def closest_on_mesh(
    points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, neighbours: int = 12
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Closest point of a mesh, candidates being the faces around the nearest vertices.

    Args:
        points: (N, 3).
        vertices: (V, 3).
        faces: (F, 3).
        neighbours: how many of the nearest vertices give their faces.

    Returns:
        As :func:`closest_on_candidates`.
    """
    around = faces_around_vertices(faces, len(vertices))
    used = np.flatnonzero([len(a) > 0 for a in around])
    _, near = cKDTree(vertices[used]).query(points, k=min(neighbours, len(used)))
    near = used[near.reshape(len(points), -1)]
    candidates = [np.unique(np.concatenate([around[v] for v in row])) for row in near]
    return closest_on_candidates(points, vertices, faces, candidates)


def faces_around_vertices(faces: np.ndarray, num_vertices: int) -> list[np.ndarray]:
    """The numbers of the faces that touch each vertex."""
    order = np.argsort(faces.ravel(), kind='stable')
    counts = np.bincount(faces.ravel(), minlength=num_vertices)
    return np.split(order // 3, np.cumsum(counts)[:-1])


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum('nd,nd->n', a, b)


def _safe(value: np.ndarray) -> np.ndarray:
    return np.where(np.abs(value) < 1e-30, 1e-30, value)


def _assign(result: np.ndarray, mask: np.ndarray, *columns: np.ndarray) -> None:
    result[mask] = np.stack(columns, axis=1)[mask]
