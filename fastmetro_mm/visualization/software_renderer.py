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

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.visualization.render_types import (
    Camera,
    Lighting,
    RenderMesh,
    RenderResult,
    prepare_background,
)
from fastmetro_mm.visualization.shading import shade_meshes

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
            raise ConfigError(f'supersample must be at least 1, got {supersample}')
        self.supersample = supersample
        self.lighting = lighting or Lighting()

    def render(
        self, meshes: Sequence[RenderMesh], camera: Camera, background: np.ndarray | None = None
    ) -> RenderResult:
        """Draw meshes with correct occlusion.

        Args:
            meshes: Meshes to draw, possibly none.
            camera: Camera; its size is the size of the result.
            background: RGB image to draw over, white if not given. (H, W, 3) uint8

        Returns:
            Image, depth and mesh numbers. Depth and mesh number are those at a pixel's centre.
        """
        image = prepare_background(background, camera)
        result = RenderResult(
            image,
            np.zeros(image.shape[:2], dtype=np.float32),
            np.full(image.shape[:2], -1, dtype=np.int32),
        )
        soup = shade_meshes(meshes, self.lighting, isinstance(camera, PerspectiveCamera))
        points = camera.project(soup.corners)  # (T, 3, 2)
        depth = soup.corners[..., 2]
        # What decides must be linear on the image plane; depth in perspective is not.
        perspective = isinstance(camera, PerspectiveCamera)
        nearness = 1 / depth if perspective else -depth
        window = _window(points, camera)
        if window is None:
            return result
        left, top, right, bottom = window
        inside = (slice(top, bottom), slice(left, right))

        samples = _Samples(points, nearness, window, 1)
        value = samples.interpolate(nearness)
        found = 1 / value if perspective else -value
        result.index[inside].flat[samples.place] = soup.mesh_index[samples.triangle]
        result.depth[inside].flat[samples.place] = found

        if self.supersample > 1:
            samples = _Samples(points * self.supersample, nearness, window, self.supersample)
        weights = samples.weights(nearness if perspective else None)
        self._blend(result.image[inside], samples, weights, soup.colors.astype(np.float32))
        return result

    def _blend(
        self, target: np.ndarray, samples: '_Samples', weights: np.ndarray, colors: np.ndarray
    ) -> None:
        """Mix the mean colour of each pixel's samples into the background, in place."""
        height, width = target.shape[:2]
        factor = self.supersample
        pixel = samples.place
        if factor > 1:
            row, column = np.divmod(pixel, width * factor)
            pixel = (row // factor) * width + column // factor
        # bincount adds up without an image of all samples.
        covered = np.bincount(pixel, minlength=height * width).reshape(height, width)
        color = np.empty((height, width, 3))
        for channel in range(3):
            value = sum(weights[i] * colors[:, i, channel][samples.triangle] for i in range(3))
            color[..., channel] = np.bincount(pixel, value, height * width).reshape(height, width)
        share = (covered / factor**2)[..., None]
        blended = target * (1 - share) + color * (255 / factor**2)
        target[:] = np.where(share > 0, np.round(blended), target).astype(np.uint8)


class _Samples:
    """Samples of a window that show a triangle.

    Args:
        points: Corners in samples. (T, 3, 2)
        nearness: Nearness of the corners. (T, 3)
        window: Left, top, right, bottom in pixels.
        factor: Samples per pixel along each axis.

    Attributes:
        place: Number of each sample in the window, row by row. (N,)
        triangle: Nearest triangle at each. (N,)
    """

    def __init__(
        self,
        points: np.ndarray,
        nearness: np.ndarray,
        window: tuple[int, int, int, int],
        factor: int,
    ) -> None:
        left, top, right, bottom = (edge * factor for edge in window)
        key = _rasterize(points, nearness, (left, top, right, bottom))
        self.points = points
        self.place = np.flatnonzero(key)
        self.triangle = (key[self.place] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        row, column = np.divmod(self.place, right - left)
        self.x, self.y = column + (left + 0.5), row + (top + 0.5)

    def interpolate(self, values: np.ndarray) -> np.ndarray:
        """Values (T, 3) at corners, linear on the image plane, at each sample (N,)."""
        # Rounding must not leave the range that the corners span.
        low, high = values.min(1)[self.triangle], values.max(1)[self.triangle]
        return np.clip(self._evaluate(values), low, high)

    def _evaluate(self, values: np.ndarray) -> np.ndarray:
        a, b, c = _planes(self.points, values)
        value = a[self.triangle] * self.x
        value += b[self.triangle] * self.y
        value += c[self.triangle]
        return value

    def weights(self, nearness: np.ndarray | None) -> np.ndarray:
        """Shares of the three corners, perspective-correct if nearness is given (3, N)."""
        corner = np.zeros_like(self.points[..., 0])
        weights = np.empty((3, len(self.place)))
        for i in (1, 2):
            corner[:] = 0
            corner[:, i] = 1
            np.clip(self._evaluate(corner), 0, 1, out=weights[i])
        weights[0] = np.maximum(1 - weights[1] - weights[2], 0)
        if nearness is not None:
            for i in range(3):
                weights[i] *= nearness[:, i][self.triangle]
        weights /= weights.sum(0)
        return weights.astype(np.float32)


def _window(points: np.ndarray, camera: Camera) -> tuple[int, int, int, int] | None:
    """Pixel rectangle (left, top, right, bottom) that holds every triangle."""
    if not len(points):
        return None
    size = np.array([camera.width, camera.height])
    low = np.clip(np.floor(points.min((0, 1))), 0, size).astype(int)
    high = np.clip(np.ceil(points.max((0, 1))), 0, size).astype(int)
    if (low >= high).any():
        return None
    return (*low.tolist(), *high.tolist())


def _rasterize(
    points: np.ndarray, nearness: np.ndarray, limits: tuple[int, int, int, int]
) -> np.ndarray:
    """Key buffer of the limits: nearness in the upper, triangle number in the lower 32 bits."""
    left, top, right, bottom = limits
    width = right - left
    key = np.zeros((bottom - top) * width, dtype=np.uint64)

    # Nearness as an integer that uses all 32 bits between the farthest and the nearest corner.
    low, high = nearness.min(), nearness.max()
    scaled = (nearness - low) * ((2.0**32 - 4) / max(high - low, 1e-12)) + 1
    slope_x, slope_y, offset = _planes(points, scaled)

    for triangle, row, start, stop in _spans(points, limits):
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
            value = np.repeat(slope_x[owner], repeat)
            value *= x
            value += np.repeat(base, repeat)
            value = np.clip(value, 1, 2.0**32 - 2, out=value).astype(np.uint64)
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

    A sample is inside if its centre is; on an edge it belongs to the triangle right of or below it.
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
