# SPDX-License-Identifier: Apache-2.0
"""Which triangle of a mesh each pixel sees, and where in it.

Normals, colours and texture coordinates are interpolated from there. The z-buffer is the one that
the renderer for display has.
"""

from dataclasses import dataclass

import numpy as np

from fastmetro_mm.visualization.render_types import NEAR
from fastmetro_mm.visualization.scan_conversion import CornerShares, Triangles, window_of
from fastmetro_mm.visualization.zbuffer import centers, nearest_triangles

SMALLEST = 1e-9
"""Triangles of a smaller area, square pixels, are left out."""


@dataclass(frozen=True)
class Visible:
    """The pixels covered by a mesh."""

    pixels: np.ndarray  # (P,) int64, row * width + column, each pixel once, ascending
    faces: np.ndarray  # (P,) int64, the number of the face seen there
    weights: np.ndarray  # (P, 3) float32, perspective-correct barycentric coordinates in that face
    depth: np.ndarray  # (P,) float32, z of the surface point, metres

    def interpolate(self, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Interpolates (V, C) vertex values over the mesh ``faces`` (F, 3), giving (P, C)."""
        corners = faces[self.faces]
        result = values[corners[:, 0]] * self.weights[:, :1]
        result += values[corners[:, 1]] * self.weights[:, 1:2]
        result += values[corners[:, 2]] * self.weights[:, 2:]
        return result


def rasterize(
    points: np.ndarray,
    depth: np.ndarray,
    faces: np.ndarray,
    size: tuple[int, int],
    both_sides: bool = False,
) -> Visible:
    """Finds the nearest triangle at every pixel centre.

    Args:
        points: (V, 2) pixel coordinates as in :mod:`fastmetro_mm.geometry.camera`; pixel (column i,
            row j) has its centre at (i + 0.5, j + 0.5).
        depth: (V,) z of the vertices, metres; triangles with a vertex nearer than 5 cm are left
            out.
        faces: (F, 3) vertex numbers; counter-clockwise seen from outside the body.
        size: Width and height of the image, pixels.
        both_sides: Also draw triangles seen from behind (for open surfaces).

    Returns:
        The visible pixels.
    """
    corners = np.ascontiguousarray(faces.T)
    x, y = (np.ascontiguousarray(axis, np.float64)[corners] for axis in points.T)
    with np.errstate(divide='ignore'):  # of vertices in the camera's plane, which are left out
        triangles = Triangles(x, y, (1.0 / depth.astype(np.float64))[corners])
    areas = triangles.areas()
    shown = np.abs(areas) > SMALLEST if both_sides else areas < -SMALLEST
    if depth.min() <= NEAR:
        shown &= (depth > NEAR)[corners].all(axis=0)
    kept = np.flatnonzero(shown)
    triangles = triangles.of(kept)
    window = window_of(triangles.x, triangles.y, *size)
    if window is None:
        return Visible(*np.zeros((2, 0), np.int64), *(np.zeros(s, np.float32) for s in ((0, 3), 0)))
    buffer = nearest_triangles(triangles, window)
    place = buffer.filled()
    triangle = buffer.triangle[place].astype(np.intp)
    x, y = centers(place, window[2] - window[0])
    x, y = x + window[0], y + window[1]
    return Visible(
        pixels=y.astype(np.int64) * size[0] + x.astype(np.int64),
        faces=kept[triangle],
        weights=np.stack(CornerShares(triangles, True)(triangle, x, y), axis=1),
        depth=1 / buffer.nearness[place],
    )
