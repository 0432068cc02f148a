# SPDX-License-Identifier: Apache-2.0
"""OBJ, PLY and npz files of one or several people.

All take meshes in the camera frame (metres, x right, y down, z forward). OBJ and PLY are for
viewers and are turned to y up unless told otherwise; npz stays in the camera frame.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.exporters.scene import axes_rotation, check_ending, check_meshes
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.result_marks import MARK
from fastmetro_mm.visualization.render_types import RenderMesh

NPZ_FORMAT = 'fastmetro_mm.meshes.1'


def write_obj(
    path: str | os.PathLike,
    meshes: Sequence[RenderMesh],
    names: Sequence[str] | None = None,
    axes: str = 'y_up',
) -> Path:
    """Write a Wavefront OBJ, one object a person.

    Colours follow the positions (``v x y z r g b``), which MeshLab, Blender and trimesh read.

    Args:
        path: File to write, ending in ``.obj``.
        meshes: People in the camera frame.
        names: One name a person.
        axes: A key of ``scene.AXES``.

    Returns:
        The path.

    Raises:
        ExportError: No mesh, another ending, unknown axes.
        OSError: The file cannot be written.
    """
    names, turn = check_meshes(meshes, names), axes_rotation(axes)
    lines = [f'# {MARK}: metres, axes: {axes}']
    first = 1  # OBJ counts from one, through the whole file
    for name, mesh in zip(names, meshes, strict=True):
        rows = np.hstack([mesh.vertices @ turn.T, mesh.vertex_colors])
        lines.append(f'o {"_".join(name.split())}')
        for x, y, z, red, green, blue in rows.tolist():
            lines.append(f'v {x:.6f} {y:.6f} {z:.6f} {red:.4f} {green:.4f} {blue:.4f}')
        lines += [f'f {a} {b} {c}' for a, b, c in (mesh.faces + first).tolist()]
        first += len(mesh.vertices)
    text = '\n'.join(lines) + '\n'
    return write_atomically(
        check_ending(path, '.obj'), lambda name: name.write_text(text, encoding='utf-8')
    )


def write_ply(
    path: str | os.PathLike,
    meshes: Sequence[RenderMesh],
    names: Sequence[str] | None = None,
    axes: str = 'y_up',
) -> Path:
    """Write a binary PLY: positions, colours and the number of the person for every vertex.

    Args:
        path: File to write, ending in ``.ply``.
        meshes: People in the camera frame.
        names: One name a person; kept as comments of the header.
        axes: A key of ``scene.AXES``.

    Returns:
        The path.

    Raises:
        ExportError: No mesh, another ending, unknown axes.
        OSError: The file cannot be written.
    """
    names, turn = check_meshes(meshes, names), axes_rotation(axes)
    counts = [len(mesh.vertices) for mesh in meshes]
    starts = np.cumsum([0, *counts[:-1]])
    vertices = np.empty(
        sum(counts), [('position', '<f4', 3), ('color', 'u1', 3), ('person', '<u2')]
    )
    vertices['position'] = np.concatenate([mesh.vertices for mesh in meshes]) @ turn.T
    colors = np.concatenate([mesh.vertex_colors for mesh in meshes])
    vertices['color'] = np.rint(colors.clip(0, 1) * 255)
    vertices['person'] = np.repeat(np.arange(len(meshes)), counts)
    corners = np.concatenate([mesh.faces + s for mesh, s in zip(meshes, starts, strict=True)])
    faces = np.empty(len(corners), [('count', 'u1'), ('corners', '<i4', 3)])
    faces['count'], faces['corners'] = 3, corners
    comments = [f'person {n}: {" ".join(name.split())}' for n, name in enumerate(names)]
    header = [
        'ply', 'format binary_little_endian 1.0', f'comment {MARK}: metres, axes: {axes}',
        *(f'comment {text}'.encode('ascii', 'replace').decode() for text in comments),
        f'element vertex {len(vertices)}',
        *(f'property float {letter}' for letter in 'xyz'),
        *(f'property uchar {color}' for color in ('red', 'green', 'blue')),
        'property ushort person',
        f'element face {len(faces)}', 'property list uchar int vertex_indices', 'end_header',
    ]  # fmt: skip
    data = '\n'.join(header).encode('ascii') + b'\n' + vertices.tobytes() + faces.tobytes()
    return write_atomically(check_ending(path, '.ply'), data)


def write_npz(
    path: str | os.PathLike, meshes: Sequence[RenderMesh], names: Sequence[str] | None = None
) -> Path:
    """Write plain arrays, camera frame: ``vertices_0 faces_0 color_0 vertices_1 ...``, ``names``.

    For results of the inferencer prefer ``FrameResult.save_npz``, which keeps everything; this is
    for meshes of any origin, people with different numbers of vertices included.

    Args:
        path: File to write, ending in ``.npz``.
        meshes: People in the camera frame.
        names: One name a person.

    Returns:
        The path.

    Raises:
        ExportError: No mesh or another ending.
        OSError: The file cannot be written.
    """
    names = check_meshes(meshes, names)
    arrays: dict[str, Any] = {'format': np.array(NPZ_FORMAT), 'names': np.array(names)}
    for number, mesh in enumerate(meshes):
        arrays[f'vertices_{number}'] = mesh.vertices.astype(np.float32)
        arrays[f'faces_{number}'] = mesh.faces.astype(np.int32)
        arrays[f'color_{number}'] = mesh.color.astype(np.float32)
    return write_atomically(
        check_ending(path, '.npz'), lambda name: np.savez_compressed(name, **arrays)
    )
