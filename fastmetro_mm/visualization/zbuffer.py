# SPDX-License-Identifier: Apache-2.0
"""A z-buffer in NumPy: which triangle is nearest at each sample, for display and for training.

Triangles become spans (one per triangle and row), spans become samples, and one ``np.maximum.at``
on their nearness keeps the nearest of each place. Only what is inside a triangle is ever computed.
"""

import numpy as np

from fastmetro_mm.visualization.scan_conversion import (
    MAX_SAMPLES,
    Triangles,
    Window,
    parts_of,
    planes_of,
    spans_of,
    spread,
)


class ZBuffer:
    """Nearest triangle of every place.

    Args:
        places: How many places there are.

    Attributes:
        triangle: Number of the triangle; any where there is none. (places,) int32
        nearness: Its nearness, -inf where there is none. (places,) float32
    """

    def __init__(self, places: int) -> None:
        self.triangle = np.empty(places, np.int32)
        self.nearness = np.full(places, -np.inf, np.float32)

    def add(self, place: np.ndarray, nearness: np.ndarray, triangle: np.ndarray) -> None:
        """Samples, any number for a place; of equally near ones the last stays.

        Args:
            place: (N,) intp
            nearness: (N,)
            triangle: (N,)
        """
        nearness = nearness.astype(np.float32)
        np.maximum.at(self.nearness, place, nearness)
        won = np.flatnonzero(nearness == self.nearness[place])
        self.triangle[place[won]] = triangle[won]

    def filled(self) -> np.ndarray:
        """Places with a triangle, ascending."""
        return np.flatnonzero(self.nearness > -np.inf)


def nearest_triangles(triangles: Triangles, window: Window) -> ZBuffer:
    """The triangle that each sample of a window shows.

    Args:
        triangles: The triangles, of either orientation.
        window: The samples.

    Returns:
        The places of the window, row by row.
    """
    left, top, right, bottom = window
    width = right - left
    buffer = ZBuffer((bottom - top) * width)
    slope_x, slope_y, offset = planes_of(triangles.x, triangles.y, triangles.nearness)
    for spans in spans_of(triangles, window):
        for rows in parts_of(spans.length, MAX_SAMPLES):
            part = spans.of(rows)
            triangle = part.triangle
            slope = slope_x[triangle]
            first = offset[triangle] + slope * (part.start + 0.5)
            first += slope_y[triangle] * (part.row + 0.5)
            span, place = spread(part.length)
            nearness = slope[span]
            nearness *= place
            nearness += first[span]
            place += ((part.row - top) * width + part.start - left)[span]
            buffer.add(place, nearness, triangle[span])
    return buffer


def centers(place: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres x, y (N,) float64 of samples with ascending numbers (N,) in rows of ``width``."""
    # repeating what a row shares is faster than a division for each sample
    starts = np.arange(0, place[-1] + width + 1 if len(place) else 1, width)
    count = np.diff(np.searchsorted(place, starts))
    return (
        place - np.repeat(starts[:-1] - 0.5, count),
        np.repeat(np.arange(len(count)) + 0.5, count),
    )
