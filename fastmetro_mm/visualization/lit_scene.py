# SPDX-License-Identifier: Apache-2.0
"""Meshes before a camera: where their triangles are, and colours of those that are seen."""

import functools
from collections.abc import Sequence

import numpy as np

from fastmetro_mm.visualization.render_types import NEAR, Lighting, RenderMesh
from fastmetro_mm.visualization.shading import (
    faces_away,
    shade_meshes,
    shade_vertices,
    vertex_normals,
)


def is_closed(faces: np.ndarray) -> bool:
    """Whether every edge has a triangle on either side, so that no back can be seen.

    Args:
        faces: (F, 3)
    """
    faces = np.ascontiguousarray(faces)
    return _is_closed(faces.tobytes(), faces.dtype.str)


@functools.lru_cache(16)
def _is_closed(content: bytes, dtype: str) -> bool:
    faces = np.frombuffer(content, dtype).reshape(-1, 3).astype(np.int64)
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    count = int(faces.max()) + 1
    there, back = start * count + end, end * count + start
    return len(np.unique(there)) == len(there) and np.array_equal(np.sort(there), np.sort(back))


class LitScene:
    """Triangles of some meshes; light falls on them when their colours are asked for.

    Args:
        meshes: Meshes in the camera frame, possibly none.
        lighting: Lights in camera axes.
        perspective: Whether the viewer is at the origin; triangles are then cut at ``NEAR``.

    Attributes:
        vertices: Camera frame, metres. (V, 3) float64
        faces: (T, 3) int64
        mesh_index: Number of the mesh of each triangle. (T,) int32
        closed: Whether that mesh is closed. (T,) bool
        colors: RGB in 0..1 of the vertices. (V, 3) float64
        is_lit: Whether light has fallen on these already.
        lighting: The lights.
        perspective: Whether the viewer is at the origin.
    """

    def __init__(self, meshes: Sequence[RenderMesh], lighting: Lighting, perspective: bool) -> None:
        self.lighting, self.perspective = lighting, perspective
        self._fronts: np.ndarray | None = None
        meshes_drawn = [(number, mesh) for number, mesh in enumerate(meshes) if len(mesh.faces)]
        near = [mesh.vertices[:, 2].min() < NEAR for _, mesh in meshes_drawn]
        self.is_lit = perspective and any(near)
        if self.is_lit:  # cutting makes loose triangles, which are lit before
            soup = shade_meshes(meshes, lighting, perspective)
            self.vertices, self.colors = soup.corners.reshape(-1, 3), soup.colors.reshape(-1, 3)
            self.faces = np.arange(len(self.vertices)).reshape(-1, 3)
            self.mesh_index = soup.mesh_index.astype(np.int32)
            self.closed = np.zeros(len(self.faces), bool)
            return
        starts = np.cumsum([0] + [len(mesh.vertices) for _, mesh in meshes_drawn])
        parts = list(zip(starts, meshes_drawn, strict=False))
        empty = np.zeros((0, 3))
        self.vertices = np.concatenate([empty] + [mesh.vertices for _, mesh in meshes_drawn])
        self.faces = np.concatenate(
            [empty.astype(np.intp)] + [mesh.faces + start for start, (_, mesh) in parts]
        )
        self.mesh_index = np.repeat(
            [number for number, _ in meshes_drawn], [len(mesh.faces) for _, mesh in meshes_drawn]
        ).astype(np.int32)
        self._all_faces = self.faces
        self.closed = np.repeat(
            [is_closed(mesh.faces) for _, mesh in meshes_drawn],
            [len(mesh.faces) for _, mesh in meshes_drawn],
        ).astype(bool)
        self.colors = np.concatenate([empty] + [mesh.vertex_colors for _, mesh in meshes_drawn])

    def leave_out_backs(self, away: np.ndarray) -> np.ndarray | None:
        """Leave out triangles of closed meshes that show the viewer their back.

        In front of each lies another one of its mesh. Where a surface is inside out (a bone that
        turned through itself) a deeper sheet of it is seen instead.

        Args:
            away: Which triangles show their back. (T,) bool

        Returns:
            Numbers of those that stay; None for all.
        """
        if not self.closed.any():
            return None
        kept = np.flatnonzero(~(away & self.closed))
        self.faces, self.mesh_index = self.faces[kept], self.mesh_index[kept]
        self.closed = self.closed[kept]
        return kept

    def colors_of(self, rows: np.ndarray) -> np.ndarray:
        """Colours at the corners of some triangles, from the side that faces the viewer.

        Args:
            rows: Numbers of triangles. (R,)

        Returns:
            Corner, channel, triangle. (3, 3, R) float32 in 0..1
        """
        if self.is_lit:
            return self.colors[self.faces[rows]].transpose(1, 2, 0).astype(np.float32)
        if self._fronts is None:
            self._normals = vertex_normals(self.vertices, self._all_faces)
            used = np.zeros(len(self.vertices), bool)
            used[self.faces] = True
            used = np.flatnonzero(used)
            self._fronts = np.zeros((3, len(self.vertices)), np.float32)
            self._fronts[:, used] = self._shade(used, 1).T
        faces = self.faces[rows]
        colors = np.stack([self._fronts.take(corner, axis=1) for corner in faces.T])
        either = np.flatnonzero(~self.closed[rows])
        back = either[faces_away(self.vertices, faces[either], self.perspective)]
        if len(back):
            used, corners = np.unique(faces[back], return_inverse=True)
            colors[:, :, back] = self._shade(used, -1)[corners.reshape(-1, 3)].transpose(1, 2, 0)
        return colors

    def _shade(self, vertices: np.ndarray, side: int) -> np.ndarray:
        return shade_vertices(
            self.vertices[vertices],
            side * self._normals[vertices],
            self.colors[vertices],
            self.lighting,
            self.perspective,
        )
