# SPDX-License-Identifier: Apache-2.0
"""From triangles to the samples inside them, vectorised over triangles, rows and samples.

Shared by what is displayed and what is drawn for training. Positions are those of
:mod:`fastmetro_mm.geometry.camera`: sample (column i, row j) has its centre at (i + 0.5, j + 0.5).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

MAX_SPANS = 16_384
"""Spans handled at a time; bounds the memory, and what is handled stays in the cache."""
MAX_SAMPLES = 65_536
"""Samples handled at a time; bounds the memory."""

Window = tuple[int, int, int, int]
"""Left, top, right, bottom in samples; right and bottom are outside."""


@dataclass(frozen=True)
class Triangles:
    """Triangles on the image plane, one row of numbers for each of their corners.

    Attributes:
        x: (3, T) float64, samples.
        y: (3, T) float64, samples.
        nearness: (3, T) float64, linear on the image plane, larger is nearer: 1/z where the
            camera is a perspective one.
    """

    x: np.ndarray
    y: np.ndarray
    nearness: np.ndarray

    def __len__(self) -> int:
        return self.x.shape[1]

    def of(self, rows: np.ndarray) -> 'Triangles':
        """Some of them."""
        parts = self.x, self.y, self.nearness
        return Triangles(*(part.take(rows, axis=1) for part in parts))

    def areas(self) -> np.ndarray:
        """Twice the areas (T,), negative where a triangle faces the viewer (y runs downwards)."""
        x, y = self.x, self.y
        return (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])


@dataclass(frozen=True)
class Spans:
    """Runs of samples inside of triangles, each in one row.

    Attributes:
        triangle: (S,) number of the triangle.
        row: (S,) row of samples.
        start: (S,) first column.
        length: (S,) number of samples, at least one.
    """

    triangle: np.ndarray
    row: np.ndarray
    start: np.ndarray
    length: np.ndarray

    def of(self, rows: slice) -> 'Spans':
        """Some of them."""
        return Spans(self.triangle[rows], self.row[rows], self.start[rows], self.length[rows])


def ends_of(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest of three rows (3, T); NumPy's own over such an axis is slower."""
    first, second, third = corners
    least = np.minimum(np.minimum(first, second), third)
    return least, np.maximum(np.maximum(first, second), third)


def parts_of(counts: np.ndarray, most: int) -> Iterator[slice]:
    """Consecutive parts whose counts (N,) sum to at most ``most``, or are a single one."""
    ends, begin = np.cumsum(counts), 0
    while begin < len(counts):
        done = ends[begin - 1] if begin else 0
        end = max(int(np.searchsorted(ends, done + most, side='right')), begin + 1)
        yield slice(begin, end)
        begin = end


def window_of(x: np.ndarray, y: np.ndarray, width: int, height: int) -> Window | None:
    """The part of an image that holds all of these places (any shape), if there is one."""
    if not x.size:
        return None
    left, right = np.clip([np.floor(x.min()), np.ceil(x.max())], 0, width)
    top, bottom = np.clip([np.floor(y.min()), np.ceil(y.max())], 0, height)
    if left >= right or top >= bottom:
        return None
    return int(left), int(top), int(right), int(bottom)


def spans_of(triangles: Triangles, window: Window) -> Iterator[Spans]:
    """Runs of samples whose centres lie inside of each triangle.

    A centre on an edge belongs to the triangle right of or below it. Both triangles at an edge
    compute it from the same numbers in the same way, so there are neither gaps nor double hits.

    Args:
        triangles: Triangles, of either orientation.
        window: Samples that are asked for.

    Yields:
        Spans, at most about ``MAX_SPANS`` at a time.
    """
    left, top, right, bottom = window
    x, y = triangles.x, triangles.y
    # those without a centre between their ends are many and hold no sample
    first, last = (np.ceil(end - 0.5) for end in ends_of(x))
    has_samples = (first < last) & (first < right) & (last > left)
    first, last = (np.ceil(end - 0.5) for end in ends_of(y))
    has_samples &= (first < last) & (first < bottom) & (last > top)
    kept = np.flatnonzero(has_samples)
    rows = np.minimum(last[kept], bottom) - np.maximum(first[kept], top)
    for part in parts_of(rows, MAX_SPANS):
        yield _spans(x, y, kept[part], window)


def _spans(x: np.ndarray, y: np.ndarray, kept: np.ndarray, window: Window) -> Spans:
    left, top, right, bottom = window
    xs, ys = list(x[:, kept]), list(y[:, kept])
    for upper, lower in ((0, 1), (1, 2), (0, 1)):
        _put_in_order(xs, ys, upper, lower)
    # From here every edge runs downwards: x = slope * y + offset, less the half of a centre.
    long, above, below = (_edge(xs, ys, *ends) for ends in ((0, 2), (0, 1), (1, 2)))
    rows = [np.clip(np.ceil(end - 0.5), top, bottom).astype(np.intp) for end in ys]
    # A triangle is one part above its middle corner and one below.
    first = np.concatenate([rows[0], rows[1]])
    count = np.concatenate([rows[1] - rows[0], rows[2] - rows[1]])
    long_is_left = (xs[1] - xs[0]) * (ys[2] - ys[0]) > (xs[2] - xs[0]) * (ys[1] - ys[0])
    used = np.flatnonzero(count)
    first, count = first[used], count[used]
    side, triangle = np.tile(long_is_left, 2)[used], np.tile(kept, 2)[used]
    long = [np.tile(part, 2)[used] for part in long]
    other = [np.concatenate(pair)[used] for pair in zip(above, below, strict=True)]

    part, row = spread(count)
    row += first[part]
    center = row + 0.5
    bounds = []
    for one, two in ((long, other), (other, long)):
        slope, offset = (np.where(side, *pair) for pair in zip(one, two, strict=True))
        place = slope[part]
        place *= center
        place += offset[part]
        bounds.append(np.ceil(place, out=place))
    start, stop = np.maximum(bounds[0], left), np.minimum(bounds[1], right)
    filled = np.flatnonzero(stop > start)
    start = start[filled].astype(np.intp)
    length = stop[filled].astype(np.intp) - start
    return Spans(triangle[part[filled]], row[filled], start, length)


def spread(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For counts (2, 3): owners (0, 0, 1, 1, 1) and places within the owner (0, 1, 0, 1, 2)."""
    # taking by owner what others would repeat is four times faster than to repeat it
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(owner))
    place -= (np.cumsum(counts) - counts)[owner]
    return owner, place


def _put_in_order(x: list[np.ndarray], y: list[np.ndarray], upper: int, lower: int) -> None:
    """Exchange two corners where they are not in order, in place."""
    swap = y[upper] > y[lower]
    for part in (x, y):
        part[upper], part[lower] = (
            np.where(swap, part[lower], part[upper]),
            np.where(swap, part[upper], part[lower]),
        )


def _edge(
    x: list[np.ndarray], y: list[np.ndarray], start: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset of an edge; 0 for the slope of level ones, which no row asks for."""
    rise = y[end] - y[start]
    slope = np.divide(x[end] - x[start], rise, out=np.zeros_like(rise), where=rise > 0)
    return slope, x[start] - slope * y[start] - 0.5


def planes_of(
    x: np.ndarray, y: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per triangle the linear function ``ax + by + c`` with given values at its corners.

    Args:
        x: (3, T)
        y: (3, T)
        values: (3, T)

    Returns:
        a, b, c, each (T,); of flat triangles, which hold no sample, the value of the first corner.
    """
    across_1, down_1, across_2, down_2 = x[1] - x[0], y[1] - y[0], x[2] - x[0], y[2] - y[0]
    area = across_1 * down_2 - down_1 * across_2
    share = np.divide(1.0, area, out=np.zeros_like(area), where=area != 0)
    step_1, step_2 = values[1] - values[0], values[2] - values[0]
    slope_x = (step_1 * down_2 - step_2 * down_1) * share
    slope_y = (step_2 * across_1 - step_1 * across_2) * share
    return slope_x, slope_y, values[0] - slope_x * x[0] - slope_y * y[0]


def share_slopes(triangles: Triangles) -> list[tuple[np.ndarray, np.ndarray]]:
    """How the shares of the second and of the third corner rise to the right and downwards.

    Args:
        triangles: Triangles; those of flat ones do not rise.

    Returns:
        Twice (T,) and (T,), float64.
    """
    x, y = triangles.x, triangles.y
    across_1, down_1, across_2, down_2 = x[1] - x[0], y[1] - y[0], x[2] - x[0], y[2] - y[0]
    area = across_1 * down_2 - down_1 * across_2
    share = np.divide(1.0, area, out=np.zeros_like(area), where=area != 0)
    return [(down_2 * share, -across_2 * share), (-down_1 * share, across_1 * share)]


def linear_at(
    triangles: Triangles,
    values: Sequence[np.ndarray],
    triangle: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
) -> list[np.ndarray]:
    """What is linear on each triangle of the image plane, at samples.

    Args:
        triangles: The triangles.
        values: Values at their corners, each (3, T).
        triangle: Which of the triangles. (N,)
        x: Centres of the samples. (N,) float64
        y: (N,)

    Returns:
        (N,) float32 for each of the values.
    """
    # from the first corner, so that float32 has enough digits
    across = (x - triangles.x[0].take(triangle)).astype(np.float32)
    down = (y - triangles.y[0].take(triangle)).astype(np.float32)
    second, third = share_slopes(triangles)
    found = []
    for at_first, at_second, at_third in values:
        steps = at_second - at_first, at_third - at_first
        slope_x, slope_y = (
            (steps[0] * one + steps[1] * other).astype(np.float32)
            for one, other in zip(second, third, strict=True)
        )
        value = slope_x.take(triangle)
        value *= across
        rise = slope_y.take(triangle)
        rise *= down
        value += rise
        value += at_first.astype(np.float32).take(triangle)
        found.append(value)
    return found


class CornerShares:
    """Where in its triangle a sample lies.

    Args:
        triangles: The triangles that are asked for.
        perspective: Whether ``nearness`` is 1/z, so that shares must be corrected by it.
    """

    def __init__(self, triangles: Triangles, perspective: bool) -> None:
        # from the first corner, so that float32 has enough digits
        self._origin = triangles.x[0], triangles.y[0]
        self._slopes = [
            [slope.astype(np.float32) for slope in slopes] for slopes in share_slopes(triangles)
        ]
        self._nearness = triangles.nearness.astype(np.float32) if perspective else None

    def __call__(self, triangle: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        """Shares of the three corners at samples.

        Args:
            triangle: (N,) which of the triangles.
            x: (N,) float64, centre of the sample.
            y: (N,)

        Returns:
            Three arrays (N,) float32 of 0 to 1 that sum to 1, perspective-correct.
        """
        x = (x - self._origin[0][triangle]).astype(np.float32)
        y = (y - self._origin[1][triangle]).astype(np.float32)
        shares = []
        for across, down in self._slopes:
            share = across[triangle]
            share *= x
            share += down[triangle] * y
            shares.append(np.clip(share, 0, 1, out=share))
        shares.insert(0, np.maximum(1 - shares[0] - shares[1], 0))
        if self._nearness is not None:
            for share, nearness in zip(shares, self._nearness, strict=True):
                share *= nearness[triangle]
        total = shares[0] + shares[1] + shares[2]
        for share in shares:
            share /= total
        return shares
