# SPDX-License-Identifier: Apache-2.0
"""Draws a whole scene: what ``numpy_drawing.draw`` draws, by the same steps."""

import numpy as np
from numba import types  # pyright: ignore[reportMissingImports]

from fastmetro_mm.visualization.compiled import loop
from fastmetro_mm.visualization.compiled.light import lit_colors, sides_shown, unit_normals
from fastmetro_mm.visualization.compiled.triangles import (
    color_at,
    nearest_samples,
    nearest_triangles,
    planes_of,
    sample_offsets,
)
from fastmetro_mm.visualization.lit_scene import LitScene
from fastmetro_mm.visualization.render_types import RenderResult
from fastmetro_mm.visualization.scan_conversion import window_of
from fastmetro_mm.visualization.supersampling import BEND


@loop
def _bent(colors, row, first, last, bent):
    """Of some columns of a row: whether the colour bends along a line through the pixel.

    Channel by channel and without a branch, so that many pixels are compared at once.
    """
    result = bent[first:last]
    result[:] = False
    for channel in range(3):
        above, here = colors[channel, row, first:], colors[channel, row + 1, first:]
        below = colors[channel, row + 2, first:]
        # slices, since an index that may be negative is looked at one by one
        above_right, right, below_right = above[2:], here[2:], below[2:]
        above_here, middle, below_here = above[1:], here[1:], below[1:]
        for column in range(last - first):
            # float32, which holds these numbers: whole ones would be widened to 64 bits
            twice = np.float32(2) * np.float32(middle[column])
            across = abs(np.float32(here[column]) + np.float32(right[column]) - twice)
            down = abs(np.float32(above_here[column]) + np.float32(below_here[column]) - twice)
            falling = abs(np.float32(above[column]) + np.float32(below_right[column]) - twice)
            rising = abs(np.float32(above_right[column]) + np.float32(below[column]) - twice)
            straight = across if across > down else down
            slanting = falling if falling > rising else rising
            most = straight if straight > slanting else slanting
            result[column] |= most > np.float32(BEND)


@loop
def unsure_pixels(colors, triangle, spans, points, window):
    """Numbers from 0 for the pixels that one sample may not describe, -1 for others; their places.

    Colours have a pixel more on every side; spans are the first and last covered column of a row.
    """
    height, width = triangle.shape
    colors[:, 0], colors[:, -1] = colors[:, 1], colors[:, -2]
    colors[:, :, 0], colors[:, :, -1] = colors[:, :, 1], colors[:, :, -2]
    number = np.full((height, width), -1, np.int32)
    places = np.empty((height * width, 2), np.int32)
    bent = np.empty(width, np.bool_)
    count = 0
    for row in range(height):
        above, below = row > 0, row < height - 1
        first, last = width, -1  # columns with something beside, above or below
        for other in range(max(row - 1, 0), min(row + 2, height)):
            first, last = min(first, spans[other, 0]), max(last, spans[other, 1])
        first, last = max(first - 1, 0), min(last + 2, width)
        if first >= last:
            continue
        _bent(colors, row, first, last, bent)
        for column in range(first, last):
            covered = triangle[row, column] >= 0
            # nothing is outside of the window
            rim = (above and triangle[row - 1, column] >= 0) != covered
            rim |= (below and triangle[row + 1, column] >= 0) != covered
            rim |= (column > 0 and triangle[row, column - 1] >= 0) != covered
            rim |= (column < width - 1 and triangle[row, column + 1] >= 0) != covered
            if rim | bent[column]:
                number[row, column] = count
                places[count] = row, column
                count += 1
    for vertex in range(len(points)):
        x, y = points[vertex, 0], points[vertex, 1]
        if window[0] <= x < window[2] and window[1] <= y < window[3]:
            row, column = int(y) - window[1], int(x) - window[0]
            if triangle[row, column] < 0 and number[row, column] < 0:
                number[row, column] = count
                places[count] = row, column
                count += 1
    return number, places[:count]


@loop
def mix(image, places, samples, factor, planes, window, perspective):
    """Put the mean colour of several samples of each of some pixels into the image."""
    samples_x, samples_y = sample_offsets(factor)
    count = factor * factor
    for pixel in range(len(places)):
        row, column = places[pixel, 0] + window[1], places[pixel, 1] + window[0]
        covered, red, green, blue = 0, 0.0, 0.0, 0.0
        seen = samples[pixel]
        for sample in range(count):
            face = seen[sample]
            if face >= 0:
                x, y = column + samples_x[sample], row + samples_y[sample]
                one, two, three = color_at(planes, face, x, y, perspective)
                red, green, blue = red + one, green + two, blue + three
                covered += 1
        if covered:  # the rest shows what is below
            for channel, value in enumerate((red, green, blue)):
                under = image[row, column, channel] * (1 - covered / count)
                value = under + value * (255 / count) + 0.5
                image[row, column, channel] = np.uint8(value)


@loop
def draw_scene(
    vertices,
    points,
    nearness,
    faces,
    closed,
    mesh_index,
    colors,
    is_lit,
    lights,
    shine,
    perspective,
    factor,
    window,
    image,
    depth,
    index,
):
    """Draw triangles over an image.

    Args:
        vertices: Camera frame, metres. (V, 3) float64
        points: Where they are in the image, pixels. (V, 2) float64
        nearness: Linear on the image plane, larger is nearer. (V,) float64
        faces: (F, 3) int64
        closed: Which are of closed meshes, whose backs are left out. (F,) bool
        mesh_index: Number of the mesh of each. (F,) int32
        colors: RGB in 0..1 of the vertices. (V, 3) float64
        is_lit: Whether light has fallen on these already.
        lights: Unit vectors towards the lights, and their strengths. (L, 4) float64
        shine: Ambient light, strength of the highlight, its sharpness.
        perspective: Whether the viewer is at the origin and nearness 1/z.
        factor: Samples of a pixel along each axis.
        window: Left, top, right, bottom of what the triangles may reach, inside of the image.
        image: RGB, drawn on. (H, W, 3) uint8
        depth: z of what the centres of pixels show, metres; written. (H, W) float32
        index: Number of its mesh; written. (H, W) int32
    """
    left, top = window[:2]
    shown = sides_shown(vertices, points, faces, closed, perspective)
    front = back = colors
    if not is_lit:
        normals = unit_normals(vertices, faces)
        front, back = (
            lit_colors(vertices, normals, faces, shown, 1, colors, lights, shine, perspective),
            lit_colors(vertices, normals, faces, shown, 2, colors, lights, shine, perspective),
        )
    triangle, found = nearest_triangles(points, nearness, faces, shown, window)
    planes = planes_of(points, nearness, faces, shown, front, back, perspective)
    least, most = nearness.min(), nearness.max()
    height, width = triangle.shape
    drawn = np.zeros((3, height + 2, width + 2), np.uint8)
    spans = np.empty((height, 2), np.int64)
    for row in range(height):
        first, last = width, -1
        # rows: arrays of one axis are read faster
        seen, nearest = triangle[row], found[row]
        depths, indices = depth[row + top, left:], index[row + top, left:]
        reds, greens, blues = drawn[0, row + 1, 1:], drawn[1, row + 1, 1:], drawn[2, row + 1, 1:]
        for column in range(width):
            face = seen[column]
            if face < 0:
                continue
            first, last = min(first, column), column
            x, y = column + left + 0.5, row + top + 0.5
            red, green, blue = color_at(planes, face, x, y, perspective)
            reds[column] = np.uint8(red * 255 + 0.5)
            greens[column] = np.uint8(green * 255 + 0.5)
            blues[column] = np.uint8(blue * 255 + 0.5)
            # Rounding must not leave the range that the corners span.
            near = min(max(np.float64(nearest[column]), least), most)
            depths[column] = 1 / near if perspective else -near
            indices[column] = mesh_index[face]
        spans[row, 0], spans[row, 1] = first, last
    number, places = np.full((height, width), -1, np.int32), np.empty((0, 2), np.int32)
    if factor > 1:
        number, places = unsure_pixels(drawn, triangle, spans, points, window)
    for row in range(height):
        seen, numbers = triangle[row], number[row]
        reds, greens, blues = drawn[0, row + 1, 1:], drawn[1, row + 1, 1:], drawn[2, row + 1, 1:]
        pixels = image[row + top, left:]
        for column in range(spans[row, 0], spans[row, 1] + 1):
            if (seen[column] >= 0) & (numbers[column] < 0):
                pixel = pixels[column]
                pixel[0], pixel[1], pixel[2] = reds[column], greens[column], blues[column]
    if len(places):
        samples = nearest_samples(points, faces, shown, planes, number, len(places), factor, window)
        mix(image, places, samples, factor, planes, window, perspective)


SIGNATURE = (
    types.float64[:, ::1],
    types.float64[:, ::1],
    types.float64[::1],
    types.int64[:, ::1],
    types.boolean[::1],
    types.int32[::1],
    types.float64[:, ::1],
    types.boolean,
    types.float64[:, ::1],
    types.UniTuple(types.float64, 3),
    types.boolean,
    types.int64,
    types.UniTuple(types.int64, 4),
    types.uint8[:, :, ::1],
    types.float32[:, ::1],
    types.int32[:, ::1],
)
"""Of :func:`draw_scene`."""


def draw(
    scene: LitScene, points: np.ndarray, nearness: np.ndarray, factor: int, result: RenderResult
) -> None:
    """See :func:`fastmetro_mm.visualization.numpy_drawing.draw`."""
    height, width = result.index.shape
    window = window_of(points[:, 0], points[:, 1], width, height)
    if window is None:
        return
    light = scene.lighting
    lights = [
        [*np.divide(direction, np.linalg.norm(direction)), strength]
        for direction, strength in light.lights
    ]
    draw_scene(
        scene.vertices,
        np.ascontiguousarray(points),
        np.ascontiguousarray(nearness),
        scene.faces,
        scene.closed,
        scene.mesh_index,
        scene.colors,
        scene.is_lit,
        np.array(lights, np.float64).reshape(-1, 4),
        (float(light.ambient), float(light.specular), float(light.shininess)),
        scene.perspective,
        factor,
        window,
        result.image,
        result.depth,
        result.index,
    )
