# SPDX-License-Identifier: Apache-2.0
"""Z-buffered triangle rasteriser in NumPy: draws meshes where there is no OpenGL.

Triangles become horizontal spans (one per triangle and pixel row), spans become samples, and one
``np.maximum.at`` on keys of (nearness, triangle number) keeps the nearest triangle of each sample.
Everything is vectorised over triangles, spans and samples; only what is inside a triangle is ever
computed. Both triangles at an edge compute it from the same end points in the same order, so there
are neither gaps nor double hits.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.visualization.mesh_renderer import (
    Camera,
    Lighting,
    RenderMesh,
    RenderResult,
    prepare_background,
)
from fastmetro_mm.visualization.shading import shade_meshes
from fastmetro_mm.visualization.triangle_soup import TriangleSoup

MAX_SPANS = 400_000
"""Spans handled at a time; bounds the memory."""
MAX_SAMPLES = 2_000_000
"""Samples handled at a time; bounds the memory."""


class SoftwareRenderer:
    """Draws meshes with NumPy alone: smooth shading, two-sided light, correct occlusion.

    Args:
        supersample: Samples per pixel along each axis; 2 gives smooth edges, 1 is faster.
        lighting: Lights, in camera axes.
    """

    name = 'software'

    def __init__(self, supersample: int = 2, lighting: Lighting | None = None) -> None:
        if supersample < 1:
            raise ValueError(f'supersample must be at least 1, got {supersample}')
        self.supersample = supersample
        self.lighting = lighting or Lighting()

    def render(
        self, meshes: Sequence[RenderMesh], camera: Camera, background: np.ndarray | None = None
    ) -> RenderResult:
        """Draw meshes with correct occlusion.

        Args:
            meshes: Meshes to draw, possibly none.
            camera: Camera; its size is the size of the result.
            background: RGB picture to draw over, white if not given. (H, W, 3) uint8

        Returns:
            Picture, depth and mesh numbers. A pixel belongs to a mesh if at least half of its
            samples do.
        """
        image = prepare_background(background, camera)
        result = RenderResult(
            image,
            np.zeros(image.shape[:2], dtype=np.float32),
            np.full(image.shape[:2], -1, dtype=np.int32),
        )
        soup = shade_meshes(meshes, self.lighting, isinstance(camera, PerspectiveCamera))
        points = camera.project(soup.corners) * self.supersample  # (T, 3, 2)
        depth = soup.corners[..., 2]
        if isinstance(camera, PerspectiveCamera):
            nearness = 1 / depth  # linear on the picture plane, unlike depth itself
        else:
            nearness = -depth
        window = self._window(points, camera)
        if window is None:
            return result
        key = _rasterize(points, nearness, window, self.supersample)
        self._resolve(key, points, nearness, soup, window, result, camera)
        return result

    def _window(self, points: np.ndarray, camera: Camera) -> tuple[int, int, int, int] | None:
        """Pixel rectangle (left, top, right, bottom) that holds every triangle."""
        if not len(points):
            return None
        size = np.array([camera.width, camera.height])
        low = np.clip(np.floor(points.min((0, 1)) / self.supersample), 0, size).astype(int)
        high = np.clip(np.ceil(points.max((0, 1)) / self.supersample), 0, size).astype(int)
        if (low >= high).any():
            return None
        return (*low.tolist(), *high.tolist())

    def _resolve(
        self,
        key: np.ndarray,
        points: np.ndarray,
        nearness: np.ndarray,
        soup: TriangleSoup,
        window: tuple[int, int, int, int],
        result: RenderResult,
        camera: Camera,
    ) -> None:
        """Turn the key buffer into colours, depth and mesh numbers, and write them to result."""
        left, top, right, bottom = window
        factor = self.supersample
        height, width = bottom - top, right - left
        hit = np.flatnonzero(key)
        triangle = (key[hit] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        row, column = np.divmod(hit, width * factor)
        weights = _barycentric(
            points,
            triangle,
            column + (left * factor + 0.5),
            row + (top * factor + 0.5),
        )
        if isinstance(camera, PerspectiveCamera):
            weights = weights * nearness[triangle].T
        weights = (weights / weights.sum(0)).astype(np.float32)  # perspective-correct, (3, N)
        depths = soup.corners[..., 2].astype(np.float32)
        depth = sum(weights[i] * depths[:, i][triangle] for i in range(3))

        # Mean over the samples of each pixel; bincount adds up without a full-size sample image.
        pixel = (row // factor) * width + column // factor
        count = height * width
        covered = np.bincount(pixel, minlength=count).reshape(height, width)
        colors = soup.colors.astype(np.float32)
        color = np.empty((height, width, 3))
        for channel in range(3):
            value = sum(weights[i] * colors[:, i, channel][triangle] for i in range(3))
            color[..., channel] = np.bincount(pixel, value, count).reshape(height, width)
        samples = factor * factor
        target = result.image[top:bottom, left:right]
        share = (covered / samples)[..., None]
        blended = target * (1 - share) + color * (255 / samples)
        target[:] = np.where(share > 0, np.round(blended), target).astype(np.uint8)

        nearest = np.zeros(count, dtype=np.uint64)
        np.maximum.at(nearest, pixel, key[hit])
        nearest_depth = np.full(count, np.inf, dtype=np.float32)
        np.minimum.at(nearest_depth, pixel, depth)
        inside = covered * 2 >= samples
        winner = (nearest & np.uint64(0xFFFFFFFF)).astype(np.int64).reshape(height, width)
        result.index[top:bottom, left:right][inside] = soup.mesh_index[winner[inside]]
        result.depth[top:bottom, left:right][inside] = nearest_depth.reshape(height, width)[inside]


def _rasterize(
    points: np.ndarray, nearness: np.ndarray, window: tuple[int, int, int, int], factor: int
) -> np.ndarray:
    """Key buffer of the window: nearness in the upper, triangle number in the lower 32 bits."""
    left, top, right, bottom = (edge * factor for edge in window)
    width = right - left
    key = np.zeros((bottom - top) * width, dtype=np.uint64)

    # Nearness as an integer that uses all 32 bits between the farthest and the nearest corner.
    low, high = nearness.min(), nearness.max()
    scaled = (nearness - low) * ((2.0**32 - 4) / max(high - low, 1e-12)) + 1
    slope_x, slope_y, offset = _planes(points, scaled)

    for triangle, row, start, stop in _spans(points, (left, top, right, bottom)):
        length = stop - start
        ends = np.cumsum(length)
        begin = 0
        while begin < len(length):
            done = ends[begin - 1] if begin else 0
            end = max(int(np.searchsorted(ends, done + MAX_SAMPLES)), begin + 1)
            part = slice(begin, end)
            first = ends[part] - length[part] - done  # where each span's samples begin
            repeat = length[part]
            x = np.arange(ends[end - 1] - done) + np.repeat(start[part] - first, repeat)
            owner = triangle[part]
            base = offset[owner] + slope_x[owner] * 0.5 + slope_y[owner] * (row[part] + 0.5)
            value = np.repeat(slope_x[owner], repeat) * x + np.repeat(base, repeat)
            value = np.clip(value, 1, 2.0**32 - 2).astype(np.uint64)
            value <<= np.uint64(32)
            value |= np.repeat(owner.astype(np.uint64), repeat)
            x += np.repeat((row[part] - top) * width - left, repeat)
            np.maximum.at(key, x, value)
            begin = end
    return key


def _spans(
    points: np.ndarray, limits: tuple[int, int, int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Runs of samples [start, stop) inside each triangle, row by row, within the limits.

    A sample is inside if its centre is; on an edge it belongs to the triangle to its right or below.
    """
    left, top, right, bottom = limits
    order = np.argsort(points[..., 1], axis=1, kind='stable')
    ordered = np.take_along_axis(points, order[..., None], axis=1)
    # From here every edge runs downwards, so two triangles compute a shared edge alike to the bit.
    (x0, y0), (x1, y1), (x2, y2) = (ordered[:, corner].T for corner in range(3))
    first = np.clip(np.ceil(y0 - 0.5), top, bottom).astype(np.int64)
    last = np.clip(np.ceil(y2 - 0.5), top, bottom).astype(np.int64)
    rows = last - first
    wide = (points[..., 0].max(1) > left) & (points[..., 0].min(1) < right)
    kept = np.flatnonzero((rows > 0) & wide)
    long_slope = _slope(x2 - x0, y2 - y0)
    upper_slope = _slope(x1 - x0, y1 - y0)
    lower_slope = _slope(x2 - x1, y2 - y1)
    ends = np.cumsum(rows[kept])
    begin = 0
    while begin < len(kept):
        done = ends[begin - 1] if begin else 0
        end = max(int(np.searchsorted(ends, done + MAX_SPANS)), begin + 1)
        part = kept[begin:end]
        triangle = np.repeat(part, rows[part])
        skipped = ends[begin:end] - rows[part] - done
        row = np.arange(ends[end - 1] - done) + np.repeat(first[part] - skipped, rows[part])
        y = row + 0.5
        a = x0[triangle] + (y - y0[triangle]) * long_slope[triangle]
        b = np.where(
            y < y1[triangle],
            x0[triangle] + (y - y0[triangle]) * upper_slope[triangle],
            x1[triangle] + (y - y1[triangle]) * lower_slope[triangle],
        )
        start = np.clip(np.ceil(np.minimum(a, b) - 0.5), left, right).astype(np.int64)
        stop = np.clip(np.ceil(np.maximum(a, b) - 0.5), left, right).astype(np.int64)
        filled = stop > start
        yield triangle[filled], row[filled], start[filled], stop[filled]
        begin = end


def _slope(run: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """Sideways step per row; 0 for level edges, which no row ever asks for."""
    return np.divide(run, rise, out=np.zeros_like(run), where=rise > 0)


def _planes(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per triangle the linear function ``ax + by + c`` with the given values at its corners."""
    edge_1, edge_2 = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    area = edge_1[:, 0] * edge_2[:, 1] - edge_1[:, 1] * edge_2[:, 0]
    area = np.where(area == 0, np.inf, area)  # flat triangles hold no sample
    step_1, step_2 = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]
    slope_x = (step_1 * edge_2[:, 1] - step_2 * edge_1[:, 1]) / area
    slope_y = (step_2 * edge_1[:, 0] - step_1 * edge_2[:, 0]) / area
    return slope_x, slope_y, values[:, 0] - slope_x * points[:, 0, 0] - slope_y * points[:, 0, 1]


def _barycentric(
    points: np.ndarray, triangle: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Barycentric coordinates on the picture plane of samples in their triangles. (3, N)"""
    corner = np.zeros((len(points), 3))
    weights = np.empty((3, len(triangle)))
    for i in (1, 2):
        corner[:] = 0
        corner[:, i] = 1
        a, b, c = _planes(points, corner)
        weights[i] = a[triangle] * x + b[triangle] * y + c[triangle]
    weights[0] = 1 - weights[1] - weights[2]
    return np.clip(weights, 0, 1)
