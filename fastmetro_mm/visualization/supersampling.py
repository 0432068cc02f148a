# SPDX-License-Identifier: Apache-2.0
"""Where one sample a pixel does not tell its colour, and more samples of these pixels alone.

On a smooth surface the mean of a pixel's samples is the colour at its centre. So only pixels are
supersampled whose colour bends, at the rim of a mesh, and where a vertex may show beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

from fastmetro_mm.visualization.scan_conversion import (
    MAX_SAMPLES,
    MAX_SPANS,
    Triangles,
    Window,
    ends_of,
    parts_of,
    planes_of,
    share_slopes,
    spread,
)
from fastmetro_mm.visualization.zbuffer import ZBuffer, centers

BEND = 8
"""Largest second difference of colours along a line through a pixel, in 1/255, for which the pixel
is not supersampled. Of 74,000 pixels of a person 17 are then off by more than 1/255."""

ROUNDING = 1e-5
"""How far a sample on the edge of two triangles may seem to lie outside both, as a share."""

_LINES = [
    np.array(line, np.float32)
    for line in (
        [[1, -2, 1]],
        [[1], [-2], [1]],
        [[1, 0, 0], [0, -2, 0], [0, 0, 1]],
        [[0, 0, 1], [0, -2, 0], [1, 0, 0]],
    )
]
_BAND = 64
"""Rows looked at together, no wider than what is drawn in them."""
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def unsure_pixels(
    colors: np.ndarray, covered: np.ndarray, points: np.ndarray, window: Window
) -> np.ndarray:
    """Pixels of a window that one sample may not describe.

    Args:
        colors: Colours at the centres of pixels. (H, W, 3) uint8
        covered: 1 where the centre shows a triangle. (H, W) uint8
        points: Projected vertices, pixels of the image. (V, 2)
        window: The window.

    Returns:
        1 for these. (H, W) uint8
    """
    bent = np.zeros_like(covered)
    for top in range(0, len(covered), _BAND):
        rows = slice(top, top + _BAND)
        near = covered[max(top - 1, 0) : top + _BAND + 1]
        columns = np.flatnonzero(near.any(axis=0))
        if len(columns):  # more than a pixel beside them all is one colour
            across = slice(max(columns[0] - 1, 0), columns[-1] + 2)
            bent[rows, across] = _bends(colors, rows, across)
    # nothing is outside of the window
    rim = cv2.morphologyEx(
        covered, cv2.MORPH_GRADIENT, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    unsure = np.asarray(cv2.bitwise_or(bent, rim))
    left, top, right, bottom = window
    column, row = points[:, 0], points[:, 1]
    inside = (column >= left) & (column < right) & (row >= top) & (row < bottom)
    place = row[inside].astype(np.intp) - top, column[inside].astype(np.intp) - left
    unsure[place] |= covered[place] == 0
    return unsure


def _bends(colors: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """1 where colours (H, W, 3) bend, in a part of an image."""
    first = max(rows.start - 1, 0), max(columns.start - 1, 0)
    part = colors[first[0] : rows.stop + 1, first[1] : columns.stop + 1]
    bends = [
        cv2.convertScaleAbs(cv2.filter2D(part, cv2.CV_16S, line, borderType=cv2.BORDER_REPLICATE))
        for line in _LINES
    ]
    flat = cv2.inRange(reduce(cv2.max, bends), (0, 0, 0), (BEND, BEND, BEND))
    bent = cv2.threshold(flat, 0, 1, cv2.THRESH_BINARY_INV)[1]
    inner = bent[rows.start - first[0] :, columns.start - first[1] :]
    return inner[: rows.stop - rows.start, : columns.stop - columns.start]


@dataclass(frozen=True)
class SubSamples:
    """Samples of some pixels that show a triangle.

    Attributes:
        pixel: Which of the pixels. (N,)
        triangle: What they show. (N,)
        x: Centres, pixels of the image. (N,)
        y: (N,)
        nearness: Of what they show. (N,)
    """

    pixel: np.ndarray
    triangle: np.ndarray
    x: np.ndarray
    y: np.ndarray
    nearness: np.ndarray


def subsample(
    triangles: Triangles, unsure: np.ndarray, pixels: np.ndarray, window: Window, factor: int
) -> SubSamples:
    """What more samples of some pixels show.

    Args:
        triangles: All triangles.
        unsure: 1 for the pixels that are asked for. (H, W) uint8
        pixels: Their numbers in the window, row by row. (P,)
        window: The window of these pixels.
        factor: Samples of a pixel along each axis.

    Returns:
        The samples; pixels are numbered in the order of the window.
    """
    left, top = window[:2]
    x, y = centers(pixels, unsure.shape[1])
    x, y = x + left, y + top
    # A sample is inside where no corner's share is negative. Shares of the second and the third
    # corner and the nearness are planes; where a pixel lies so far outside that none of its samples
    # is inside is seen at its centre.
    planes = [
        [slope.astype(np.float32) for slope in slopes]
        for slopes in (
            *share_slopes(triangles),
            planes_of(triangles.x, triangles.y, triangles.nearness)[:2],
        )
    ]
    # places are taken from the first corner, so that float32 has enough digits
    origin, at_origin = (triangles.x[0], triangles.y[0]), triangles.nearness[0].astype(np.float32)
    offsets = (np.arange(factor, dtype=np.float32) + 0.5) / factor - 0.5
    (across_2, down_2), (across_3, down_3), _ = planes
    slopes = ((across_2, down_2), (across_3, down_3), (across_2 + across_3, down_2 + down_3))
    reach = [offsets[-1] * (np.abs(across) + np.abs(down)) + ROUNDING for across, down in slopes]
    buffer = ZBuffer(factor**2 * len(pixels))
    for triangle, pixel in _pairs(triangles, unsure, window):
        place = [
            (center[pixel] - corner[triangle]).astype(np.float32)
            for center, corner in zip((x, y), origin, strict=True)
        ]
        second, third = (_from_origin(plane, triangle, place) for plane in planes[:2])
        near = (second >= -reach[0][triangle]) & (third >= -reach[1][triangle])
        near &= second + third <= 1 + reach[2][triangle]
        near = np.flatnonzero(near)
        triangle, pixel = triangle[near], pixel[near]
        nearness = _from_origin(planes[2], triangle, [part[near] for part in place])
        nearness += at_origin[triangle]
        at_center = second[near], third[near], nearness
        steps = [[slope[triangle] for slope in plane] for plane in planes]
        for number_y, step_y in enumerate(offsets):
            row = [value + step_y * down for value, (_, down) in zip(at_center, steps, strict=True)]
            for number_x, step_x in enumerate(offsets):
                second, third, nearness = (
                    value + step_x * across for value, (across, _) in zip(row, steps, strict=True)
                )
                inside = (second >= -ROUNDING) & (third >= -ROUNDING)
                inside &= second + third <= 1 + ROUNDING
                inside = np.flatnonzero(inside)
                sample = pixel[inside] * factor**2 + (number_y * factor + number_x)
                buffer.add(sample, nearness[inside], triangle[inside])
    filled = buffer.filled()
    pixel = filled // factor**2  # with a scalar several times faster than divmod
    number = filled - pixel * factor**2
    down = number // factor
    across = number - down * factor
    return SubSamples(
        pixel,
        buffer.triangle[filled].astype(np.intp),
        x[pixel] + offsets[across],
        y[pixel] + offsets[down],
        buffer.nearness[filled],
    )


def _from_origin(
    slopes: list[np.ndarray], triangle: np.ndarray, place: list[np.ndarray]
) -> np.ndarray:
    """What triangles' planes (N,) rise from their first corners to places relative to these."""
    value = slopes[0][triangle]
    value *= place[0]
    value += slopes[1][triangle] * place[1]
    return value


def _pairs(
    triangles: Triangles, unsure: np.ndarray, window: Window
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Triangles and the pixels in their boxes that are asked for, numbered as in the window."""
    height, width = unsure.shape
    left, right = box_sides(triangles.x - window[0], width)
    top, bottom = box_sides(triangles.y - window[1], height)
    before = cv2.integral(unsure)  # (H + 1, W + 1): how many are above and left
    inside = before[bottom, right] - before[top, right] - before[bottom, left] + before[top, left]
    reaching = np.flatnonzero((inside > 0) & (triangles.areas() != 0))
    # numbers of the pixels that are asked for run on from row to row
    first = (before[1:] - before[:-1] + before[:-1, -1:]).ravel()
    for chosen in parts_of((bottom - top)[reaching], MAX_SPANS):
        chosen = reaching[chosen]
        owner, row = spread((bottom - top)[chosen])
        owner = chosen[owner]
        row += top[owner]
        row *= width + 1
        start, stop = first[row + left[owner]], first[row + right[owner]]
        found = np.flatnonzero(stop > start)
        owner, start, count = owner[found], start[found], (stop - start)[found]
        for part in parts_of(count, MAX_SAMPLES):
            run, pixel = spread(count[part])
            pixel += start[part][run]
            yield owner[part][run], pixel


def box_sides(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel that triangles reach, and the one behind the last.

    Args:
        places: Their corners along an axis, pixels. (3, T)
        size: Number of pixels.

    Returns:
        (T,) and (T,) intp, 0 to ``size``
    """
    low, high = ends_of(places)
    first, behind = (
        np.clip(end, 0, size).astype(np.intp) for end in (np.floor(low), np.ceil(high))
    )
    return first, behind
