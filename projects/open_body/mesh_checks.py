# SPDX-License-Identifier: Apache-2.0
"""Facts about triangle meshes: manifoldness, Euler number, boundary loops."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class MeshFacts:
    """What :func:`mesh_facts` measured."""

    vertices: int
    faces: int
    edges: int
    euler: int
    components: int
    boundary_edges: int
    boundary_loops: int
    manifold: bool
    oriented: bool

    @property
    def closed(self) -> bool:
        """True for a manifold surface without a border."""
        return self.manifold and self.boundary_edges == 0


def mesh_facts(faces: np.ndarray, num_vertices: int) -> MeshFacts:
    """Measure a triangle mesh; vertices that no face uses count as components.

    ``manifold`` asks that no edge has more than two faces and that the faces around each
    vertex form one fan or one disc.

    Args:
        faces: (F, 3).
        num_vertices: V.
    """
    faces = np.asarray(faces, dtype=np.int64)
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges, inverse, counts = np.unique(
        np.sort(directed, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    oriented = len(np.unique(directed, axis=0)) == len(directed)
    degenerate = bool((directed[:, 0] == directed[:, 1]).any())
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(num_vertices,) * 2)
    components = connected_components(graph, directed=False)[0]
    border = edges[counts == 1]
    loops = 0
    if len(border):
        used, local = np.unique(border, return_inverse=True)
        local = local.reshape(border.shape)
        loops = connected_components(
            coo_matrix((np.ones(len(local)), local.T), shape=(len(used),) * 2), directed=False
        )[0]
    manifold = not degenerate and counts.max() <= 2 and _single_fans(faces, inverse.ravel(), counts)
    return MeshFacts(
        num_vertices,
        len(faces),
        len(edges),
        num_vertices - len(edges) + len(faces),
        components,
        len(border),
        loops,
        bool(manifold),
        oriented,
    )


def _single_fans(faces: np.ndarray, edge_of: np.ndarray, counts: np.ndarray) -> bool:
    """Whether the corners at each vertex hang together through shared edges.

    Corners are the graph nodes; two corners at one vertex are joined when their faces share an
    edge at that vertex. One connected group per used vertex means one fan or disc.
    """
    num_faces = len(faces)
    flat = faces.ravel()
    order = np.argsort(edge_of, kind='stable')
    starts = np.r_[0, np.cumsum(counts)[:-1]][counts == 2]
    # Directed edge number e belongs to face e % F and joins its corners e // F and the next one.
    corners = [
        np.stack(
            [e % num_faces * 3 + e // num_faces, e % num_faces * 3 + (e // num_faces + 1) % 3],
            axis=1,
        )
        for e in (order[starts], order[starts + 1])
    ]
    same = flat[corners[0][:, 0]] == flat[corners[1][:, 0]]
    links = [
        np.stack([corners[0][:, k], np.where(same, corners[1][:, k], corners[1][:, 1 - k])], axis=1)
        for k in (0, 1)
    ]
    joined = np.concatenate(links)
    graph = coo_matrix((np.ones(len(joined)), joined.T), shape=(3 * num_faces,) * 2)
    fans = connected_components(graph, directed=False)[0]
    return fans == len(np.unique(faces))


def vertex_adjacency(faces: np.ndarray, num_vertices: int):
    """Sparse (V, V) matrix holding at each edge the number of faces it has, as the official files.

    Interior edges are 2.0, border edges 1.0, no diagonal.
    """
    i = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = np.concatenate([i, i[:, ::-1]])
    matrix = coo_matrix((np.ones(len(both)), both.T), shape=(num_vertices,) * 2).tocsr()
    matrix.sum_duplicates()
    return matrix
