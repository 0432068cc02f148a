# SPDX-License-Identifier: Apache-2.0
"""The triangle that each sample shows, and its colour there, as machine code.

See ``drawing.py``; what is computed is that of ``scan_conversion.py`` and ``zbuffer.py``,
and for the samples of single pixels that of ``supersampling.py``.
"""

import math

import numpy as np

from fastmetro_mm.visualization.compiled import loop
from fastmetro_mm.visualization.supersampling import ROUNDING

# A row for each triangle of what is linear on it, seen from its first corner.
_CORNER = 0  # x and y of that corner
_SHARES = 2  # slopes along x and y of the shares of the second and of the third corner
_NEARNESS = 6  # slopes, and the value at the corner
_RED, _GREEN, _BLUE = 9, 12, 15  # the same, in perspective of colour times nearness
_NUMBERS = 18

_GATHERED = 16_384
"""Pairs of a triangle and a pixel that are looked at together; they stay in the cache."""


@loop
def planes_of(points, nearness, faces, shown, front, back, perspective):
    """What is linear on each triangle that is seen, a row of numbers each."""
    planes = np.empty((len(faces), _NUMBERS))  # rows of what is not shown are never read
    for face in range(len(faces)):
        if not shown[face]:
            continue
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        across_1, down_1 = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
        across_2, down_2 = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1]
        area = across_1 * down_2 - down_1 * across_2
        share = 1 / area if area != 0 else 0.0
        plane = planes[face]
        plane[_CORNER], plane[_CORNER + 1] = points[a, 0], points[a, 1]
        second_x, second_y = down_2 * share, -across_2 * share
        third_x, third_y = -down_1 * share, across_1 * share
        plane[_SHARES], plane[_SHARES + 1] = second_x, second_y
        plane[_SHARES + 2], plane[_SHARES + 3] = third_x, third_y
        one, two = nearness[b] - nearness[a], nearness[c] - nearness[a]
        plane[_NEARNESS] = one * second_x + two * third_x
        plane[_NEARNESS + 1] = one * second_y + two * third_y
        plane[_NEARNESS + 2] = nearness[a]
        colors = front if shown[face] == 1 else back
        for channel in range(3):
            first, one, two = colors[a, channel], colors[b, channel], colors[c, channel]
            if perspective:
                first, one, two = first * nearness[a], one * nearness[b], two * nearness[c]
            one, two = one - first, two - first
            place = _RED + 3 * channel
            plane[place] = one * second_x + two * third_x
            plane[place + 1] = one * second_y + two * third_y
            plane[place + 2] = first
    return planes


@loop
def color_at(planes, face, x, y, perspective):
    """Red, green and blue in 0..1 of a triangle at a place of the image."""
    x, y = x - planes[face, _CORNER], y - planes[face, _CORNER + 1]
    red = planes[face, _RED] * x + planes[face, _RED + 1] * y + planes[face, _RED + 2]
    green = planes[face, _GREEN] * x + planes[face, _GREEN + 1] * y + planes[face, _GREEN + 2]
    blue = planes[face, _BLUE] * x + planes[face, _BLUE + 1] * y + planes[face, _BLUE + 2]
    if perspective:
        near = planes[face, _NEARNESS] * x + planes[face, _NEARNESS + 1] * y
        depth = 1 / (near + planes[face, _NEARNESS + 2])
        red, green, blue = red * depth, green * depth, blue * depth
    return min(max(red, 0.0), 1.0), min(max(green, 0.0), 1.0), min(max(blue, 0.0), 1.0)


@loop
def nearest_triangles(points, nearness, faces, shown, window):
    """Number of the triangle that each pixel's centre shows, -1 for none, and its nearness."""
    left, top, right, bottom = window
    triangle = np.full((bottom - top, right - left), -1, np.int32)
    found = np.full((bottom - top, right - left), -np.inf, np.float32)
    for face in range(len(faces)):
        if not shown[face]:
            continue
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        x_1, x_2, x_3 = points[a, 0], points[b, 0], points[c, 0]
        first = math.ceil(min(x_1, x_2, x_3) - 0.5)
        last = math.ceil(max(x_1, x_2, x_3) - 0.5)
        if first >= last or first >= right or last <= left:
            continue
        y_1, y_2, y_3 = points[a, 1], points[b, 1], points[c, 1]
        first = math.ceil(min(y_1, y_2, y_3) - 0.5)
        last = math.ceil(max(y_1, y_2, y_3) - 0.5)
        if first >= last or first >= bottom or last <= top:
            continue
        # the plane of nearness, from the corners before they are put in order
        across_1, down_1, across_2, down_2 = x_2 - x_1, y_2 - y_1, x_3 - x_1, y_3 - y_1
        area = across_1 * down_2 - down_1 * across_2
        share = 1.0 / area if area != 0 else 0.0
        at_first = nearness[a]
        step_1, step_2 = nearness[b] - at_first, nearness[c] - at_first
        slope_x = (step_1 * down_2 - step_2 * down_1) * share
        slope_y = (step_2 * across_1 - step_1 * across_2) * share
        offset = at_first - slope_x * x_1 - slope_y * y_1
        if y_1 > y_2:
            x_1, y_1, x_2, y_2 = x_2, y_2, x_1, y_1
        if y_2 > y_3:
            x_2, y_2, x_3, y_3 = x_3, y_3, x_2, y_2
        if y_1 > y_2:
            x_1, y_1, x_2, y_2 = x_2, y_2, x_1, y_1
        middle = math.ceil(y_2 - 0.5)
        long_is_left = (x_2 - x_1) * (y_3 - y_1) > (x_3 - x_1) * (y_2 - y_1)
        long_slope = (x_3 - x_1) / (y_3 - y_1)
        long_offset = x_1 - long_slope * y_1 - 0.5
        upper = (x_2 - x_1) / (y_2 - y_1) if y_2 > y_1 else 0.0
        upper_offset = x_1 - upper * y_1 - 0.5
        lower = (x_3 - x_2) / (y_3 - y_2) if y_3 > y_2 else 0.0
        lower_offset = x_2 - lower * y_2 - 0.5
        for row in range(max(first, top), min(last, bottom)):
            center = row + 0.5
            start = math.ceil(long_slope * center + long_offset)
            if row < middle:
                stop = math.ceil(upper * center + upper_offset)
            else:
                stop = math.ceil(lower * center + lower_offset)
            if not long_is_left:
                start, stop = stop, start
            begin, end = int(max(start, left)), int(min(stop, right))
            if begin >= end:
                continue
            value = offset + slope_x * (begin + 0.5)
            value += slope_y * center
            seen = triangle[row - top, begin - left : end - left]
            nearest = found[row - top, begin - left : end - left]
            for column in range(end - begin):
                near = np.float32(slope_x * column + value)
                if near >= nearest[column]:
                    nearest[column] = near
                    seen[column] = face
    return triangle, found


@loop
def nearest_samples(points, faces, shown, planes, number, count, factor, window):
    """Number of the triangle that each sample of the numbered pixels shows, -1 for none."""
    left, top = window[0], window[1]
    height, width = number.shape
    offsets = sample_offsets(factor)
    triangle = np.full((count, factor * factor), -1, np.int32)
    found = np.full((count, factor * factor), -np.inf, np.float32)
    half = 0.5 - 0.5 / factor
    # Pixels that triangles reach are gathered first, since a branch that cannot be foreseen, here
    # most, takes longer than what it would save.
    reached = np.empty((_GATHERED + width, 3), np.int32)
    gathered = 0
    for face in range(len(faces)):
        if not shown[face]:
            continue
        second_x, second_y = planes[face, _SHARES], planes[face, _SHARES + 1]
        third_x, third_y = planes[face, _SHARES + 2], planes[face, _SHARES + 3]
        if second_x == 0 and second_y == 0:  # flat
            continue
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        low = min(points[a, 0], points[b, 0], points[c, 0])
        high = max(points[a, 0], points[b, 0], points[c, 0])
        begin = int(min(max(math.floor(low) - left, 0), width))
        end = int(min(max(math.ceil(high) - left, 0), width))
        low = min(points[a, 1], points[b, 1], points[c, 1])
        high = max(points[a, 1], points[b, 1], points[c, 1])
        first = int(min(max(math.floor(low) - top, 0), height))
        last = int(min(max(math.ceil(high) - top, 0), height))
        corner_x, corner_y = planes[face, _CORNER] - left, planes[face, _CORNER + 1] - top
        # how far the shares of a pixel's samples are from those at its centre
        second_reach = half * (abs(second_x) + abs(second_y)) + ROUNDING
        third_reach = half * (abs(third_x) + abs(third_y)) + ROUNDING
        first_reach = half * (abs(second_x + third_x) + abs(second_y + third_y)) + ROUNDING
        for row in range(first, last):
            if gathered >= _GATHERED:
                _see(planes, number, reached, gathered, offsets, window, triangle, found)
                gathered = 0
            numbers = number[row]
            for column in range(begin, end):
                across, down = column + 0.5 - corner_x, row + 0.5 - corner_y
                second = second_x * across + second_y * down
                third = third_x * across + third_y * down
                pair = reached[gathered]
                pair[0], pair[1], pair[2] = face, row, column
                gathered += (
                    (numbers[column] >= 0)
                    & (second >= -second_reach)
                    & (third >= -third_reach)
                    & (second + third <= 1 + first_reach)
                )
    _see(planes, number, reached, gathered, offsets, window, triangle, found)
    return triangle


@loop
def sample_offsets(factor):
    """How far right of and below a pixel's corner its samples lie. (factor * factor,) each."""
    x, y = np.empty(factor * factor), np.empty(factor * factor)
    for sample in range(factor * factor):
        x[sample] = (sample % factor + 0.5) / factor
        y[sample] = (sample // factor + 0.5) / factor
    return x, y


@loop
def _see(planes, number, reached, gathered, offsets, window, triangle, found):
    """Put triangles before what samples of pixels (rows of face, row, column) show until now."""
    samples_x, samples_y = offsets  # arrays of one axis are read several times faster
    for pair in range(gathered):
        face, row, column = reached[pair, 0], reached[pair, 1], reached[pair, 2]
        pixel, plane = number[row, column], planes[face]
        second_x, second_y = plane[_SHARES], plane[_SHARES + 1]
        third_x, third_y = plane[_SHARES + 2], plane[_SHARES + 3]
        near_x, near_y = plane[_NEARNESS], plane[_NEARNESS + 1]
        across = column - (plane[_CORNER] - window[0])
        down = row - (plane[_CORNER + 1] - window[1])
        second = second_x * across + second_y * down
        third = third_x * across + third_y * down
        near = near_x * across + near_y * down + plane[_NEARNESS + 2]
        seen, nearest = triangle[pixel], found[pixel]
        for sample in range(len(samples_x)):
            right, below = samples_x[sample], samples_y[sample]
            one = second + right * second_x + below * second_y
            two = third + right * third_x + below * third_y
            value = np.float32(near + right * near_x + below * near_y)
            if (
                (one >= -ROUNDING)
                & (two >= -ROUNDING)
                & (one + two <= 1 + ROUNDING)
                & (value >= nearest[sample])
            ):
                nearest[sample] = value
                seen[sample] = face
