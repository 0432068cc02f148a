# SPDX-License-Identifier: Apache-2.0
"""Draws a whole scene with NumPy.

What each pixel's centre shows is found first (``zbuffer.py``). Pixels where that does not tell the
colour get more samples (``supersampling.py``). Light is computed for what is seen.
"""

import cv2
import numpy as np

from fastmetro_mm.visualization.lit_scene import LitScene
from fastmetro_mm.visualization.render_types import RenderResult
from fastmetro_mm.visualization.scan_conversion import Triangles, linear_at, window_of
from fastmetro_mm.visualization.supersampling import SubSamples, subsample, unsure_pixels
from fastmetro_mm.visualization.zbuffer import centers, nearest_triangles


def draw(
    scene: LitScene, points: np.ndarray, nearness: np.ndarray, factor: int, result: RenderResult
) -> None:
    """Draw triangles over an image.

    Args:
        scene: The triangles.
        points: Where their vertices are in the image, pixels. (V, 2)
        nearness: Linear on the image plane, larger is nearer: 1/z in perspective, else -z. (V,)
        factor: Samples of a pixel along each axis.
        result: Image, depth and index of what is behind; drawn on.
    """
    height, width = result.index.shape
    perspective = scene.perspective
    corners = np.ascontiguousarray(scene.faces.T)
    triangles = Triangles(*(np.ascontiguousarray(part)[corners] for part in (*points.T, nearness)))
    kept = scene.leave_out_backs(triangles.areas() > 0)
    if kept is not None:
        triangles = triangles.of(kept)
    window = window_of(triangles.x, triangles.y, width, height)
    if window is None:
        return
    left, top, right, bottom = window
    inside = (slice(top, bottom), slice(left, right))
    shape = (bottom - top, right - left)

    buffer = nearest_triangles(triangles, window)
    place = buffer.filled()
    triangle = buffer.triangle[place].astype(np.intp)
    # Rounding must not leave the range that the corners span.
    found = np.clip(buffer.nearness[place], nearness.min(), nearness.max())
    x, y = centers(place, shape[1])
    in_image = place + (y.astype(np.intp) * (width - shape[1]) + (top * width + left))
    result.index.reshape(-1)[in_image] = scene.mesh_index[triangle]
    result.depth.reshape(-1)[in_image] = 1 / found if perspective else -found

    paint = _Paint(scene, triangles)
    channels = [np.zeros(shape, np.uint8) for _ in range(3)]
    for channel, values in zip(channels, paint(triangle, x + left, y + top, found), strict=True):
        values *= 255
        values += 0.5
        channel.ravel()[place] = values.astype(np.uint8)
    colors = cv2.merge(channels)
    covered = np.zeros(shape, np.uint8)
    covered.ravel()[place] = 1
    target = result.image[inside]
    if factor == 1:
        cv2.copyTo(colors, covered, target)
        return
    unsure = unsure_pixels(colors, covered, points, window)
    pixels = np.flatnonzero(unsure.view(bool))
    samples = subsample(triangles, unsure, pixels, window, factor)
    column, row = (center.astype(np.intp) for center in centers(pixels, shape[1]))
    mixed = _mixed(target[row, column], paint, samples, factor**2)
    cv2.copyTo(colors, covered, target)
    target[row, column] = mixed


def _mixed(under: np.ndarray, paint: '_Paint', samples: SubSamples, count: int) -> np.ndarray:
    """Mean colours of pixels' samples, those without a triangle in the colour below (P, 3)."""
    covered = np.bincount(samples.pixel, minlength=len(under))
    mixed = under * (1 - covered / count)[:, None]
    colors = paint(samples.triangle, samples.x, samples.y, samples.nearness)
    for channel, values in enumerate(colors):
        mixed[:, channel] += np.bincount(samples.pixel, values, len(under)) * (255 / count)
    return np.where(covered[:, None] > 0, np.round(mixed), under).astype(np.uint8)


class _Paint:
    """Colours of samples.

    Args:
        scene: The scene.
        triangles: All of its triangles on the image plane.
    """

    def __init__(self, scene: LitScene, triangles: Triangles) -> None:
        self._scene, self._triangles = scene, triangles

    def __call__(
        self, triangle: np.ndarray, x: np.ndarray, y: np.ndarray, nearness: np.ndarray
    ) -> list[np.ndarray]:
        """Red, green and blue of samples in 0..1 (N,).

        Args:
            triangle: What they show. (N,)
            x: Centres. (N,)
            y: (N,)
            nearness: Of what they show. (N,)
        """
        seen = np.zeros(len(self._triangles), bool)
        seen[triangle] = True
        rows = np.flatnonzero(seen)
        number = np.empty(len(seen), np.intp)
        number[rows] = np.arange(len(rows))
        triangle = number[triangle]
        triangles = self._triangles.of(rows)
        colors = self._scene.colors_of(rows)
        if self._scene.perspective:  # linear on the image plane is what is divided by z
            colors = colors * triangles.nearness[:, None]
        channels = linear_at(triangles, [*colors.swapaxes(0, 1)], triangle, x, y)
        for channel in channels:
            if self._scene.perspective:
                channel /= nearness
            np.clip(channel, 0, 1, out=channel)  # which rounding may have left
        return channels
