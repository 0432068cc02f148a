# SPDX-License-Identifier: Apache-2.0
"""From results to scenes: meshes in the camera frame, and the axes of other programs."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.levels import level_number, mesh_level
from fastmetro_mm.structures.results import FrameResult
from fastmetro_mm.visualization.render_types import RenderMesh
from fastmetro_mm.visualization.sample_people import person_color

AXES = {
    'camera': np.eye(3),
    'y_up': np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]),
    'z_up': np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}
"""Rotations from the camera frame (x right, y down, z forward) to the axes of other programs.

* ``camera``: unchanged; most viewers then show people head down.
* ``y_up``: turned by 180 degrees about x: x right, y up, z towards the viewer (glTF, MeshLab,
  Blender's importers of OBJ and glTF).
* ``z_up``: x right, y forward, z up (AMASS, Blender's own axes).
"""

MESHES = ('network', 'smpl')


def axes_rotation(axes: str) -> np.ndarray:
    """Rotation (3, 3) from the camera frame to named axes.

    Args:
        axes: A key of :data:`AXES`.

    Returns:
        Matrix that acts on column vectors.

    Raises:
        ExportError: Unknown name.
    """
    if axes not in AXES:
        raise ExportError(f'unknown axes {axes!r}: use {", ".join(AXES)}')
    return AXES[axes]


def check_ending(path: str | os.PathLike, *endings: str) -> Path:
    """The path of a file to write, refused where its name ends otherwise."""
    path = Path(path)
    if path.suffix.lower() not in endings:
        raise ExportError(f'{path}: the name must end with {endings[0]}')
    return path


def check_fps(fps: float) -> None:
    """Refuse frames a second that are no rate."""
    if not (math.isfinite(fps) and fps > 0):
        raise ExportError(f'fps is {fps}: give the frames a second, more than 0')


def mean_color(mesh: RenderMesh) -> np.ndarray:
    """One colour (3,) of a mesh, the mean where it is coloured by vertex."""
    return mesh.color if mesh.color.ndim == 1 else mesh.color.mean(axis=0)


def person_names(frame: FrameResult) -> list[str]:
    """Names of the people that :func:`frame_meshes` gives: by track where there is one."""
    return [_name(frame, number) for number, person in enumerate(frame.people) if person.is_placed]


def frame_meshes(
    frame: FrameResult, mesh: str = 'network', lod: int | None = None
) -> list[RenderMesh]:
    """Meshes of a frame in the frame of its camera, metres.

    Args:
        frame: The frame. People without a place in the scene (``is_placed``) are left out.
        mesh: ``'network'``, or ``'smpl'``: the mesh of the SMPL head.
        lod: Vertices of a coarser level (bodies 6890, 1723 or 431; hands 778 or 195); all if not
            given. Hands that go with bodies follow them.

    Returns:
        One mesh a person, coloured by track or by place in the list.

    Raises:
        ExportError: Unknown mesh, a person without one, or no such level.
    """
    if mesh not in MESHES:
        raise ExportError(f'unknown mesh {mesh!r}: use {" or ".join(MESHES)}')
    level = None if lod is None else level_number(frame.body, lod)
    meshes = []
    for number, person in enumerate(frame.people):
        if not person.is_placed:
            continue
        vertices = person.vertices if mesh == 'network' else person.smpl_vertices
        if vertices is None:
            raise ExportError(
                'these results have no mesh of the SMPL head: use a config with smpl_head and the '
                "SMPL model file, or mesh='network'"
            )
        faces = frame.faces_of(person)
        if level is not None:
            part = mesh_level(frame.body_of(person), level)
            vertices = vertices[part.index]
            faces = part.faces[:, ::-1] if person.is_right is False else part.faces
        color = person_color(number, person.track_id)
        meshes.append(RenderMesh(vertices + person.translation, faces, color))
    return meshes


def check_meshes(meshes: Sequence[RenderMesh], names: Sequence[str] | None) -> list[str]:
    """Names of the meshes of one file, made up if not given.

    Args:
        meshes: What will be written.
        names: One name a mesh, or None.

    Returns:
        One name a mesh.

    Raises:
        ExportError: There is no mesh, or another number of names.
    """
    if not meshes:
        raise ExportError('nothing to export: the scene has no people with a mesh')
    if names is None:
        return [f'person_{number}' for number in range(len(meshes))]
    if len(names) != len(meshes):
        raise ExportError(f'{len(names)} names for {len(meshes)} meshes: give one a mesh')
    return list(names)


def _name(frame: FrameResult, number: int) -> str:
    person = frame.people[number]
    side = {None: '', True: '_right_hand', False: '_left_hand'}[person.is_right]
    return (f'person_{number}' if person.track_id is None else f'track_{person.track_id}') + side
