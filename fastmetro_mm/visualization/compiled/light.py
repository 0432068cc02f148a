# SPDX-License-Identifier: Apache-2.0
"""Which side of triangles is seen, and the light on it, as machine code.

See ``drawing.py``; what is computed is that of ``shading.py``.
"""

import math

import numpy as np

from fastmetro_mm.visualization.compiled import loop


@loop
def _normal(vertices, a, b, c):
    """Normal of a face, twice as long as the face is large."""
    ux, uy, uz = (
        vertices[b, 0] - vertices[a, 0],
        vertices[b, 1] - vertices[a, 1],
        vertices[b, 2] - vertices[a, 2],
    )
    vx, vy, vz = (
        vertices[c, 0] - vertices[a, 0],
        vertices[c, 1] - vertices[a, 1],
        vertices[c, 2] - vertices[a, 2],
    )
    return uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx


@loop
def sides_shown(vertices, points, faces, closed, perspective):
    """What each triangle shows: 1 its front, 2 its back, 0 nothing (the back of a closed mesh)."""
    shown = np.zeros(len(faces), np.uint8)
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        if closed[face]:
            area = (points[b, 0] - points[a, 0]) * (points[c, 1] - points[a, 1])
            area -= (points[c, 0] - points[a, 0]) * (points[b, 1] - points[a, 1])
            shown[face] = 0 if area > 0 else 1
            continue
        x, y, z = _normal(vertices, a, b, c)
        if perspective:
            z = x * vertices[a, 0] + y * vertices[a, 1] + z * vertices[a, 2]
        shown[face] = 2 if z > 0 else 1
    return shown


@loop
def unit_normals(vertices, faces):
    """See ``shading.vertex_normals``."""
    normals = np.zeros(vertices.shape)
    for face in range(len(faces)):
        x, y, z = _normal(vertices, faces[face, 0], faces[face, 1], faces[face, 2])
        for corner in range(3):
            vertex = faces[face, corner]
            normals[vertex, 0] += x
            normals[vertex, 1] += y
            normals[vertex, 2] += z
    for vertex in range(len(vertices)):
        x, y, z = normals[vertex, 0], normals[vertex, 1], normals[vertex, 2]
        length = math.sqrt(x * x + y * y + z * z)
        if length > 0:
            normals[vertex, 0], normals[vertex, 1], normals[vertex, 2] = (
                x / length,
                y / length,
                z / length,
            )
    return normals


@loop
def lit_colors(vertices, normals, faces, shown, side, colors, lights, shine, perspective):
    """Blinn-Phong colours of the vertices of triangles that show one side (1 front, 2 back)."""
    ambient, specular, shininess = shine
    whole = int(shininess)  # several times faster than a power of broken numbers
    is_whole = whole == shininess
    sign = 1.0 if side == 1 else -1.0
    lit = np.zeros(vertices.shape)
    used = np.zeros(len(vertices), np.bool_)
    for face in range(len(faces)):
        if shown[face] == side:
            for corner in range(3):
                used[faces[face, corner]] = True
    for vertex in range(len(vertices)):
        if not used[vertex]:
            continue
        normal_x, normal_y, normal_z = (
            sign * normals[vertex, 0],
            sign * normals[vertex, 1],
            sign * normals[vertex, 2],
        )
        view_x, view_y, view_z = 0.0, 0.0, -1.0
        if perspective:
            x, y, z = vertices[vertex, 0], vertices[vertex, 1], vertices[vertex, 2]
            away = max(math.sqrt(x * x + y * y + z * z), 1e-9)
            view_x, view_y, view_z = -x / away, -y / away, -z / away
        diffuse, highlight = ambient, 0.0
        for number in range(len(lights)):
            x, y, z = lights[number, 0], lights[number, 1], lights[number, 2]
            strength = lights[number, 3]
            diffuse += strength * max(normal_x * x + normal_y * y + normal_z * z, 0.0)
            x, y, z = view_x + x, view_y + y, view_z + z
            facing = normal_x * x + normal_y * y + normal_z * z
            facing = max(facing / max(math.sqrt(x * x + y * y + z * z), 1e-9), 0.0)
            facing = facing**whole if is_whole else facing**shininess
            highlight += specular * strength * facing
        for channel in range(3):
            value = colors[vertex, channel] * diffuse + highlight
            lit[vertex, channel] = min(max(value, 0.0), 1.0)
    return lit
