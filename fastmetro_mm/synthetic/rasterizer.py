# SPDX-License-Identifier: Apache-2.0
"""A z-buffer for small meshes in plain NumPy: which triangle each pixel sees, and where in it.

Made for thousands of small images on one core: all pixels of all triangles' boxes are tested
together in a few array operations (about 10 ms for 7,000 triangles on 256x256 pixels), without
OpenGL and without a loop over triangles. The visualisers use
:mod:`fastmetro_mm.visualization` instead; this one returns barycentric coordinates, from which
normals, colours and texture coordinates are interpolated.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Visible:
    """The pixels covered by a mesh.

    Attributes:
        pixels: (P,) int64, row * width + column, each pixel once, ascending.
        faces: (P,) int64, the number of the face seen there.
        weights: (P, 3) float32, perspective-correct barycentric coordinates in that face.
        depth: (P,) float32, z of the surface point, metres.
    """

    pixels: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    depth: np.ndarray

    def interpolate(self, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Interpolates (V, C) vertex values over the mesh ``faces`` (F, 3), giving (P, C)."""
        corners = faces[self.faces]
        result = values[corners[:, 0]] * self.weights[:, :1]
        result += values[corners[:, 1]] * self.weights[:, 1:2]
        result += values[corners[:, 2]] * self.weights[:, 2:]
        return result


def _spread(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For counts (2, 3): owners (0, 0, 1, 1, 1) and places within the owner (0, 1, 0, 1, 2)."""
    owners = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return owners, np.arange(len(owners)) - starts[owners]


def _least(corners: np.ndarray) -> np.ndarray:
    """Smallest of three columns, (F, 3) to (F,); NumPy's min over a short axis is slow."""
    return np.minimum(np.minimum(corners[:, 0], corners[:, 1]), corners[:, 2])


def rasterize(
    points: np.ndarray,
    depth: np.ndarray,
    faces: np.ndarray,
    size: tuple[int, int],
    both_sides: bool = False,
) -> Visible:
    """Finds the nearest triangle at every pixel centre.

    Args:
        points: (V, 2) pixel coordinates, float64, or float32 (quicker, for small images); pixel
            (column i, row j) has its centre at (i, j).
        depth: (V,) z of the vertices, metres; triangles with a vertex nearer than 5 cm are left
            out.
        faces: (F, 3) vertex numbers; counter-clockwise seen from outside the body.
        size: Width and height of the image, pixels.
        both_sides: Also draw triangles seen from behind (for open surfaces).

    Returns:
        The visible pixels.
    """
    width, height = size
    x, y = points[:, 0][faces], points[:, 1][faces]
    # Rows run downwards, so the front of a counter-clockwise face has a negative area here.
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    left = np.maximum(np.ceil(_least(x)), 0).astype(np.int64)
    right = np.minimum(np.floor(-_least(-x)), width - 1).astype(np.int64)
    top = np.maximum(np.ceil(_least(y)), 0).astype(np.int64)
    bottom = np.minimum(np.floor(-_least(-y)), height - 1).astype(np.int64)
    shown = (right >= left) & (bottom >= top) & (_least(depth[faces]) > 0.05)
    shown &= np.abs(area) > 1e-9 if both_sides else area < -1e-9
    kept = np.flatnonzero(shown)
    x, y, area = x[kept], y[kept], area[kept]
    left, top = left[kept], top[kept]
    columns, rows = right[kept] - left + 1, bottom[kept] - top + 1

    # One entry per row of every box, then one per pixel of every row.
    row_owner, row_place = _spread(rows)
    pixel_row, pixel_place = _spread(columns[row_owner])
    owner = row_owner[pixel_row]
    row = (top[row_owner] + row_place)[pixel_row]
    column = left[owner] + pixel_place
    # Floats of the caller's precision, or NumPy would compute everything in float64.
    py, px = row.astype(points.dtype), column.astype(points.dtype)

    # Barycentric coordinates are planes over the image: b = g + gx * px + gy * py.
    gx0, gy0 = (y[:, 1] - y[:, 2]) / area, (x[:, 2] - x[:, 1]) / area
    gx1, gy1 = (y[:, 2] - y[:, 0]) / area, (x[:, 0] - x[:, 2]) / area
    g0 = -gx0 * x[:, 2] - gy0 * y[:, 2]
    g1 = -gx1 * x[:, 2] - gy1 * y[:, 2]
    b0 = g0[owner] + gx0[owner] * px + gy0[owner] * py
    b1 = g1[owner] + gx1[owner] * px + gy1[owner] * py
    inside = np.flatnonzero((b0 >= 0) & (b1 >= 0) & (b0 + b1 <= 1))
    owner, b0, b1 = owner[inside], b0[inside], b1[inside]
    pixel = row[inside] * width + column[inside]

    # 1/z, not z, is linear over the image; dividing by it makes the weights perspective-correct.
    inverse = 1.0 / depth[faces[kept]]
    w0, w1, w2 = b0 * inverse[owner, 0], b1 * inverse[owner, 1], (1 - b0 - b1) * inverse[owner, 2]
    nearness = w0 + w1 + w2
    order = np.argsort(nearness, kind='stable')
    winner = np.full(width * height, -1, dtype=np.int64)
    # Of several values for one place NumPy keeps the last, which here is the nearest.
    winner[pixel[order]] = order
    pixels = np.flatnonzero(winner >= 0)
    chosen = winner[pixels]
    total = nearness[chosen]
    weights = np.stack([w0[chosen], w1[chosen], w2[chosen]], axis=1) / total[:, None]
    return Visible(
        pixels=pixels,
        faces=kept[owner[chosen]],
        weights=weights.astype(np.float32),
        depth=(1.0 / total).astype(np.float32),
    )
