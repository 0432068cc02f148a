# SPDX-License-Identifier: Apache-2.0
"""One image as a GLB scene: all its people, and its camera.

glTF has x right, y up and looks along -z, so everything is the camera frame turned by 180 degrees
about x, and the camera stands unturned at the origin.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.glb_file import INDEX_DATA, VERTEX_DATA, GlbFile
from fastmetro_mm.exporters.scene import AXES, check_meshes
from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.visualization.render_types import NEAR, RenderMesh


def write_glb(
    path: str | os.PathLike,
    meshes: Sequence[RenderMesh],
    camera: PerspectiveCamera | None = None,
    names: Sequence[str] | None = None,
) -> Path:
    """Write people as one GLB scene.

    Args:
        path: File to write, ending in ``.glb``.
        meshes: People in the camera frame.
        camera: The image's camera; left out if None.
        names: One name a person.

    Returns:
        The path.

    Raises:
        ExportError: No mesh, another ending, or a camera that glTF cannot hold.
        OSError: The file cannot be written.
    """
    names = check_meshes(meshes, names)
    glb = GlbFile()
    for name, mesh in zip(names, meshes, strict=True):
        vertices = mesh.vertices @ AXES['y_up'].T
        number = add_mesh(glb, name, vertices, mesh.faces, mesh.color)
        glb.add_root(glb.add('nodes', name=name, mesh=number))
    if camera is not None:
        add_camera(glb, camera)
    return glb.write(path)


def add_mesh(
    glb: GlbFile,
    name: str,
    vertices: np.ndarray,
    faces: np.ndarray,
    color: np.ndarray,
    attributes: dict[str, int] | None = None,
) -> int:
    """Add a mesh with normals and a material of its colour.

    Args:
        glb: The file.
        name: Name of mesh and material.
        vertices: glTF axes, metres. (V, 3)
        faces: Counter-clockwise seen from outside. (F, 3)
        color: RGB as seen on a screen (sRGB), 0..1. (3,) or (V, 3)
        attributes: More accessors of the vertices, such as ``JOINTS_0``.

    Returns:
        Index of the mesh.
    """
    linear = srgb_to_linear(np.asarray(color, np.float64))
    accessors = {
        'POSITION': glb.add_array(vertices.astype(np.float32), VERTEX_DATA, bounds=True),
        'NORMAL': glb.add_array(vertex_normals(vertices, faces).astype(np.float32), VERTEX_DATA),
        **(attributes or {}),
    }
    base = [*linear.tolist(), 1.0]
    if linear.ndim == 2:
        accessors['COLOR_0'] = glb.add_array(linear.astype(np.float32), VERTEX_DATA)
        base = [1.0, 1.0, 1.0, 1.0]
    surface = {'baseColorFactor': base, 'metallicFactor': 0.0, 'roughnessFactor': 0.8}
    material = glb.add('materials', name=name, pbrMetallicRoughness=surface)
    indices = glb.add_array(faces.astype(np.uint32).ravel(), INDEX_DATA)
    part = {'attributes': accessors, 'indices': indices, 'material': material}
    return glb.add('meshes', name=name, primitives=[part])


def add_camera(glb: GlbFile, camera: PerspectiveCamera) -> int:
    """Add the image's camera and its node at the origin.

    glTF knows a field of view but no principal point: one that is not in the middle of the
    image is kept in ``extras`` only. ``extras`` hold ``intrinsics`` (3, 3) and ``image_size``.

    Args:
        glb: The file.
        camera: The camera.

    Returns:
        Index of the node.

    Raises:
        ExportError: The intrinsics hold a roll, mirror or skew.
    """
    matrix = camera.intrinsics
    focal_x, focal_y = matrix[0, 0], matrix[1, 1]
    if focal_x <= 0 or focal_y <= 0 or matrix[0, 1] != 0 or matrix[1, 0] != 0:
        raise ExportError(
            f'glTF has no camera with a roll, mirror or skew (intrinsics {matrix.tolist()}): '
            'export the unrotated crop, or pass camera=None'
        )
    extras = {'intrinsics': matrix.tolist(), 'image_size': [camera.width, camera.height]}
    number = glb.add(
        'cameras',
        name='camera',
        type='perspective',
        perspective={
            'yfov': 2 * math.atan(camera.height / (2 * focal_y)),
            'aspectRatio': camera.width / focal_x * focal_y / camera.height,
            'znear': NEAR,
        },
        extras=extras,
    )
    node = glb.add('nodes', name='camera', camera=number)
    glb.add_root(node)
    return node


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals of a mesh, faces weighted by area (V, 3).

    A vertex without an area around it gets (0, 0, 1), because glTF wants unit vectors.
    """
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    total = np.zeros(vertices.shape, np.float64)
    for axis in range(3):
        total[:, axis] = np.bincount(
            faces.ravel(), np.repeat(across[:, axis], 3), minlength=len(vertices)
        )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 1e-12, total / np.maximum(length, 1e-12), [0.0, 0.0, 1.0])


def srgb_to_linear(color: np.ndarray) -> np.ndarray:
    """Screen colours to the linear ones of glTF (IEC 61966-2-1), 0..1."""
    color = color.clip(0, 1)
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
