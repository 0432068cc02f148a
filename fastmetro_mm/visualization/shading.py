# SPDX-License-Identifier: Apache-2.0
"""Vertex normals and the colours that light gives to them; shared by all renderers."""

from collections.abc import Sequence

import numpy as np

from fastmetro_mm.visualization.render_types import NEAR, Lighting, RenderMesh
from fastmetro_mm.visualization.triangle_soup import TriangleSoup, clip_near


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted mean of the normals of the faces around each vertex.

    Args:
        vertices: Metres. (V, 3)
        faces: Counter-clockwise seen from outside. (F, 3)

    Returns:
        Unit vectors pointing outwards; zero where a vertex has no face. (V, 3)
    """
    # One bincount an axis is several times faster than np.add.at.
    owner = faces.T.ravel()
    normals = np.column_stack(
        [
            np.bincount(owner, np.tile(part, 3), minlength=len(vertices))
            for part in face_normals(vertices, faces)
        ]
    )
    length = _lengths(normals)[:, None]
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """Lengths (V,) of vectors (V, 3); over so short an axis np.linalg.norm is slower."""
    return np.sqrt(np.einsum('ij,ij->i', vectors, vectors))


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> list[np.ndarray]:
    """Normals of faces, twice as long as the faces are large.

    Args:
        vertices: Metres. (V, 3)
        faces: (F, 3)

    Returns:
        x, y and z, each (F,).
    """
    # component by component: np.cross takes four times as long
    steps = []
    for axis in vertices.T:
        axis = np.ascontiguousarray(axis)
        start = axis[faces[:, 0]]
        steps.append((axis[faces[:, 1]] - start, axis[faces[:, 2]] - start))
    return [
        steps[one][0] * steps[other][1] - steps[other][0] * steps[one][1]
        for one, other in ((1, 2), (2, 0), (0, 1))
    ]


def shade_vertices(
    vertices: np.ndarray,
    normals: np.ndarray,
    colors: np.ndarray,
    lighting: Lighting,
    perspective: bool,
) -> np.ndarray:
    """Blinn-Phong colours of vertices.

    Args:
        vertices: Camera frame, metres. (V, 3)
        normals: Unit normals on the side that is looked at. (V, 3)
        colors: RGB in 0..1. (V, 3)
        lighting: Lights in camera axes.
        perspective: Whether the viewer is at the origin; otherwise infinitely far in front.

    Returns:
        RGB in 0..1. (V, 3)
    """
    if perspective:
        to_viewer = -vertices / np.maximum(_lengths(vertices), 1e-9)[:, None]
    else:
        to_viewer = np.array([[0.0, 0.0, -1.0]])
    diffuse = np.full(len(vertices), lighting.ambient)
    highlight = np.zeros(len(vertices))
    for direction, strength in lighting.lights:
        to_light = np.asarray(direction, dtype=np.float64)
        to_light = to_light / np.linalg.norm(to_light)
        diffuse += strength * np.maximum(normals @ to_light, 0)
        half = np.broadcast_to(to_viewer + to_light, normals.shape)
        facing = np.einsum('ij,ij->i', normals, half) / np.maximum(_lengths(half), 1e-9)
        facing = np.maximum(facing, 0)
        highlight += lighting.specular * strength * facing**lighting.shininess
    return np.clip(colors * diffuse[:, None] + highlight[:, None], 0, 1)


def faces_away(vertices: np.ndarray, faces: np.ndarray, perspective: bool) -> np.ndarray:
    """Which faces show the viewer their back (F,).

    Args:
        vertices: Camera frame, metres. (V, 3)
        faces: Counter-clockwise seen from outside. (F, 3)
        perspective: Whether the viewer is at the origin; otherwise infinitely far in front.
    """
    normals = face_normals(vertices, faces)
    if not perspective:
        return normals[2] > 0
    x, y, z = vertices[faces[:, 0]].T
    return normals[0] * x + normals[1] * y + normals[2] * z > 0


def shade_meshes(
    meshes: Sequence[RenderMesh], lighting: Lighting, perspective: bool
) -> TriangleSoup:
    """Lit triangles of a scene, ready to be rasterised without any further light.

    Each triangle takes its corner colours from the side that faces the viewer, so open meshes (a
    hand cut at the wrist) look right from inside too.

    Args:
        meshes: Meshes in the camera frame, possibly none.
        lighting: Lights in camera axes.
        perspective: Whether the viewer is at the origin; triangles are then cut at :data:`NEAR`.

    Returns:
        Triangles; those of an earlier mesh come first.
    """
    parts = []
    for number, mesh in enumerate(meshes):
        if not len(mesh.faces):
            continue
        normals = vertex_normals(mesh.vertices, mesh.faces)
        front, back = (
            shade_vertices(mesh.vertices, side * normals, mesh.vertex_colors, lighting, perspective)
            for side in (1, -1)
        )
        corners = mesh.vertices[mesh.faces]  # (F, 3, 3)
        away = faces_away(mesh.vertices, mesh.faces, perspective)
        colors = np.where(away[:, None, None], back[mesh.faces], front[mesh.faces])
        parts.append(TriangleSoup(corners, colors, np.full(len(corners), number)))
    soup = TriangleSoup.concatenate(parts)
    return clip_near(soup, NEAR) if perspective else soup
