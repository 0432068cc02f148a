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
)
from fastmetro_mm.visualization.lit_scene import LitScene
from fastmetro_mm.visualization.render_types import RenderResult
from fastmetro_mm.visualization.scan_conversion import window_of
from fastmetro_mm.visualization.supersampling import BEND


@loop
def _bend(colors, row, column, down, across):
    """Whether the colour bends along a line through a pixel; its neighbours lie on both sides."""
    for channel in range(3):
        ends = np.int32(colors[row - down, column - across, channel])
        ends += np.int32(colors[row + down, column + across, channel])
        if abs(ends - 2 * np.int32(colors[row, column, channel])) > BEND:
            return True
    return False


@loop
def unsure_pixels(colors, triangle, spans, points, window):
    """Numbers from 0 for the pixels that one sample may not describe, -1 for others; how many.

    Colours have a pixel more on every side; spans are the first and last covered column of a row.
    """
    height, width = triangle.shape
    colors[0], colors[-1] = colors[1], colors[-2]
    colors[:, 0], colors[:, -1] = colors[:, 1], colors[:, -2]
    number = np.full((height, width), -1, np.int32)
    count = 0
    for row in range(height):
        above, below = row > 0, row < height - 1
        first, last = width, -1  # columns with something beside, above or below
        for other in range(max(row - 1, 0), min(row + 2, height)):
            first, last = min(first, spans[other, 0]), max(last, spans[other, 1])
        for column in range(max(first - 1, 0), min(last + 2, width)):
            covered = triangle[row, column] >= 0
            # nothing is outside of the window
            rim = (above and triangle[row - 1, column] >= 0) != covered
            rim |= (below and triangle[row + 1, column] >= 0) != covered
            rim |= (column > 0 and triangle[row, column - 1] >= 0) != covered
            rim |= (column < width - 1 and triangle[row, column + 1] >= 0) != covered
            if (
                rim
                or _bend(colors, row + 1, column + 1, 1, 1)
                or _bend(colors, row + 1, column + 1, 1, -1)
                # off the rim nothing is beside, above and below what is not covered
                or (covered and _bend(colors, row + 1, column + 1, 0, 1))
                or (covered and _bend(colors, row + 1, column + 1, 1, 0))
            ):
                number[row, column] = count
                count += 1
    for vertex in range(len(points)):
        x, y = points[vertex, 0], points[vertex, 1]
        if window[0] <= x < window[2] and window[1] <= y < window[3]:
            row, column = int(y) - window[1], int(x) - window[0]
            if triangle[row, column] < 0 and number[row, column] < 0:
                number[row, column] = count
                count += 1
    return number, count


@loop
def mix(image, drawn, triangle, number, samples, planes, window, perspective):
    """Put what was drawn into the image; several samples of a pixel as their mean colour."""
    left, top = window[0], window[1]
    height, width = triangle.shape
    factor = samples.shape[1]
    count = factor * factor
    for row in range(height):
        for column in range(width):
            pixel = number[row, column]
            if pixel < 0:
                if triangle[row, column] >= 0:
                    for channel in range(3):
                        value = drawn[row + 1, column + 1, channel]
                        image[row + top, column + left, channel] = value
                continue
            covered, red, green, blue = 0, 0.0, 0.0, 0.0
            for sample_y in range(factor):
                y = row + top + (sample_y + 0.5) / factor
                for sample_x in range(factor):
                    face = samples[pixel, sample_y, sample_x]
                    if face >= 0:
                        x = column + left + (sample_x + 0.5) / factor
                        one, two, three = color_at(planes, face, x, y, perspective)
                        red, green, blue = red + one, green + two, blue + three
                        covered += 1
            if covered:  # the rest shows what is below
                for channel, value in enumerate((red, green, blue)):
                    under = image[row + top, column + left, channel] * (1 - covered / count)
                    value = under + value * (255 / count) + 0.5
                    image[row + top, column + left, channel] = np.uint8(value)


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
    drawn = np.zeros((height + 2, width + 2, 3), np.uint8)
    spans = np.empty((height, 2), np.int64)
    for row in range(height):
        spans[row, 0], spans[row, 1] = width, -1
        for column in range(width):
            face = triangle[row, column]
            if face < 0:
                continue
            spans[row, 0], spans[row, 1] = min(spans[row, 0], column), column
            x, y = column + left + 0.5, row + top + 0.5
            for channel, value in enumerate(color_at(planes, face, x, y, perspective)):
                drawn[row + 1, column + 1, channel] = np.uint8(value * 255 + 0.5)
            # Rounding must not leave the range that the corners span.
            near = min(max(np.float64(found[row, column]), least), most)
            depth[row + top, column + left] = 1 / near if perspective else -near
            index[row + top, column + left] = mesh_index[face]
    number, count = np.full((height, width), -1, np.int32), 0
    if factor > 1:
        number, count = unsure_pixels(drawn, triangle, spans, points, window)
    samples = nearest_samples(points, faces, shown, planes, number, count, factor, window)
    mix(image, drawn, triangle, number, samples, planes, window, perspective)


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
