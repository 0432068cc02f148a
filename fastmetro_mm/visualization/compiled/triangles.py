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


@loop
def planes_of(points, nearness, faces, shown, front, back, perspective):
    """What is linear on each triangle that is seen, a row of numbers each."""
    planes = np.zeros((len(faces), _NUMBERS))
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
    x, y, rows = np.empty(3), np.empty(3), np.empty(3, np.int64)
    for face in range(len(faces)):
        if not shown[face]:
            continue
        for corner in range(3):
            x[corner], y[corner] = points[faces[face, corner], 0], points[faces[face, corner], 1]
        first = math.ceil(min(x[0], x[1], x[2]) - 0.5)
        last = math.ceil(max(x[0], x[1], x[2]) - 0.5)
        if first >= last or first >= right or last <= left:
            continue
        first = math.ceil(min(y[0], y[1], y[2]) - 0.5)
        last = math.ceil(max(y[0], y[1], y[2]) - 0.5)
        if first >= last or first >= bottom or last <= top:
            continue
        # the plane of nearness, from the corners before they are put in order
        across_1, down_1, across_2, down_2 = x[1] - x[0], y[1] - y[0], x[2] - x[0], y[2] - y[0]
        area = across_1 * down_2 - down_1 * across_2
        share = 1.0 / area if area != 0 else 0.0
        at_first = nearness[faces[face, 0]]
        step_1, step_2 = nearness[faces[face, 1]] - at_first, nearness[faces[face, 2]] - at_first
        slope_x = (step_1 * down_2 - step_2 * down_1) * share
        slope_y = (step_2 * across_1 - step_1 * across_2) * share
        offset = at_first - slope_x * x[0] - slope_y * y[0]
        for upper, lower in ((0, 1), (1, 2), (0, 1)):
            if y[upper] > y[lower]:
                x[upper], x[lower] = x[lower], x[upper]
                y[upper], y[lower] = y[lower], y[upper]
        for corner in range(3):
            rows[corner] = int(min(max(math.ceil(y[corner] - 0.5), top), bottom))
        long_is_left = (x[1] - x[0]) * (y[2] - y[0]) > (x[2] - x[0]) * (y[1] - y[0])
        rise = y[2] - y[0]
        long_slope = (x[2] - x[0]) / rise if rise > 0 else 0.0
        long_offset = x[0] - long_slope * y[0] - 0.5
        for part in range(2):  # above the middle corner and below
            rise = y[part + 1] - y[part]
            slope = (x[part + 1] - x[part]) / rise if rise > 0 else 0.0
            edge = x[part] - slope * y[part] - 0.5
            for row in range(rows[part], rows[part + 1]):
                center = row + 0.5
                start = math.ceil(long_slope * center + long_offset)
                stop = math.ceil(slope * center + edge)
                if not long_is_left:
                    start, stop = stop, start
                begin, end = int(max(start, left)), int(min(stop, right))
                if begin >= end:
                    continue
                value = offset + slope_x * (begin + 0.5)
                value += slope_y * center
                for column in range(begin, end):
                    near = np.float32(slope_x * (column - begin) + value)
                    if near >= found[row - top, column - left]:
                        found[row - top, column - left] = near
                        triangle[row - top, column - left] = face
    return triangle, found


@loop
def nearest_samples(points, faces, shown, planes, number, count, factor, window):
    """Number of the triangle that each sample of the numbered pixels shows, -1 for none."""
    left, top = window[0], window[1]
    height, width = number.shape
    triangle = np.full((count, factor, factor), -1, np.int32)
    found = np.full((count, factor, factor), -np.inf, np.float32)
    step, half = 1 / factor, 0.5 - 0.5 / factor
    for face in range(len(faces)):
        second_x, second_y = planes[face, _SHARES], planes[face, _SHARES + 1]
        third_x, third_y = planes[face, _SHARES + 2], planes[face, _SHARES + 3]
        if not shown[face] or (second_x == 0 and second_y == 0):  # flat
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
        near_x, near_y = planes[face, _NEARNESS], planes[face, _NEARNESS + 1]
        near_first = planes[face, _NEARNESS + 2]
        corner_x, corner_y = planes[face, _CORNER] - left, planes[face, _CORNER + 1] - top
        # how far the shares of a pixel's samples are from those at its centre
        second_reach = half * (abs(second_x) + abs(second_y)) + ROUNDING
        third_reach = half * (abs(third_x) + abs(third_y)) + ROUNDING
        first_reach = half * (abs(second_x + third_x) + abs(second_y + third_y)) + ROUNDING
        for row in range(first, last):
            for column in range(begin, end):
                pixel = number[row, column]
                if pixel < 0:
                    continue
                across, down = column + 0.5 - corner_x, row + 0.5 - corner_y
                second = second_x * across + second_y * down
                third = third_x * across + third_y * down
                if (
                    second < -second_reach
                    or third < -third_reach
                    or second + third > 1 + first_reach
                ):
                    continue
                # from the first sample of the pixel
                second -= half * (second_x + second_y)
                third -= half * (third_x + third_y)
                near = near_x * (across - half) + near_y * (down - half) + near_first
                for sample_y in range(factor):
                    for sample_x in range(factor):
                        right, below = sample_x * step, sample_y * step
                        one = second + right * second_x + below * second_y
                        two = third + right * third_x + below * third_y
                        if one < -ROUNDING or two < -ROUNDING or one + two > 1 + ROUNDING:
                            continue
                        value = np.float32(near + right * near_x + below * near_y)
                        if value >= found[pixel, sample_y, sample_x]:
                            found[pixel, sample_y, sample_x] = value
                            triangle[pixel, sample_y, sample_x] = face
    return triangle
