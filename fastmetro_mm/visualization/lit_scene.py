# SPDX-License-Identifier: Apache-2.0
"""Meshes before a camera: where their triangles are, and colours of those that are seen."""

from collections.abc import Sequence

import numpy as np

from fastmetro_mm.visualization.render_types import NEAR, Lighting, RenderMesh
from fastmetro_mm.visualization.shading import (
    faces_away,
    shade_meshes,
    shade_vertices,
    vertex_normals,
)


class LitScene:
    """Triangles of some meshes; light falls on them when their colours are asked for.

    Args:
        meshes: Meshes in the camera frame, possibly none.
        lighting: Lights in camera axes.
        perspective: Whether the viewer is at the origin; triangles are then cut at ``NEAR``.

    Attributes:
        vertices: Camera frame, metres. (V, 3)
        faces: (T, 3)
        mesh_index: Number of the mesh of each triangle. (T,)
    """

    def __init__(self, meshes: Sequence[RenderMesh], lighting: Lighting, perspective: bool) -> None:
        self._lighting, self._perspective = lighting, perspective
        self._fronts: np.ndarray | None = None
        meshes_drawn = [(number, mesh) for number, mesh in enumerate(meshes) if len(mesh.faces)]
        near = [mesh.vertices[:, 2].min() < NEAR for _, mesh in meshes_drawn]
        self._corner_colors: np.ndarray | None = None
        if perspective and any(near):  # cutting makes loose triangles, which are lit before
            soup = shade_meshes(meshes, lighting, perspective)
            self.vertices = soup.corners.reshape(-1, 3)
            self.faces = np.arange(len(self.vertices)).reshape(-1, 3)
            self.mesh_index, self._corner_colors = soup.mesh_index, soup.colors
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
        self._colors = np.concatenate([empty] + [mesh.vertex_colors for _, mesh in meshes_drawn])

    def colors_of(self, rows: np.ndarray) -> np.ndarray:
        """Colours at the corners of some triangles, from the side that faces the viewer.

        Args:
            rows: Numbers of triangles. (R,)

        Returns:
            Corner, channel, triangle. (3, 3, R) float32 in 0..1
        """
        if self._corner_colors is not None:
            return self._corner_colors[rows].transpose(1, 2, 0).astype(np.float32)
        if self._fronts is None:
            self._normals = vertex_normals(self.vertices, self.faces)
            self._fronts = self._shade(np.arange(len(self.vertices)), 1).astype(np.float32)
        faces = self.faces[rows]
        colors = np.stack([self._fronts.T[:, corner] for corner in faces.T])
        back = np.flatnonzero(faces_away(self.vertices, faces, self._perspective))
        if len(back):
            used, corners = np.unique(faces[back], return_inverse=True)
            colors[:, :, back] = self._shade(used, -1)[corners.reshape(-1, 3)].transpose(1, 2, 0)
        return colors

    def _shade(self, vertices: np.ndarray, side: int) -> np.ndarray:
        return shade_vertices(
            self.vertices[vertices],
            side * self._normals[vertices],
            self._colors[vertices],
            self._lighting,
            self._perspective,
        )
