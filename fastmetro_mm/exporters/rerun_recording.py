# SPDX-License-Identifier: Apache-2.0
"""A recording for the Rerun viewer: image, camera, meshes and joints through time.

Entities, in the frame of the camera (x right, y down, z forward, metres):

* ``camera``: pinhole with the image of every frame as JPEG
* ``people/<name>/mesh``: triangles and colour once, vertices a frame
* ``people/<name>/joints``: the network's joints a frame

on the timelines ``frame`` (number) and ``video`` (seconds). A person who is not seen is cleared.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fastmetro_mm.errors import MissingPackageError
from fastmetro_mm.exporters.scene import check_ending, frame_meshes, mean_color, person_names
from fastmetro_mm.fileio import publish, temporary_beside
from fastmetro_mm.result_marks import MARK
from fastmetro_mm.structures.results import FrameResult

_JPEG_QUALITY = 85
_JOINT_RADIUS = 0.015  # metres


class RerunRecording:
    """Writes a recording frame by frame; the file gets its name when it is closed.

    Args:
        path: File to write, ending in ``.rrd``.
        fps: Frames a second, for frames that do not tell their time; None for an image.
        lod: Vertices of the meshes, see ``scene.frame_meshes``.

    Raises:
        ExportError: Another ending.
        MissingPackageError: rerun-sdk is not installed.
        OSError: The folder cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike, fps: float | None = None, lod: int | None = None
    ) -> None:
        self.path = check_ending(path, '.rrd')
        try:
            rerun: Any = import_module('rerun')  # its names are made when it is imported
        except ModuleNotFoundError:
            raise MissingPackageError(
                "recordings for Rerun need rerun-sdk: pip install 'fastmetro_mm[rerun]'"
            ) from None
        self._rerun, self._fps, self._lod = rerun, fps, lod
        self._temporary = temporary_beside(self.path)
        self._stream = rerun.RecordingStream(MARK, send_properties=False)
        self._stream.save(str(self._temporary))
        self._stream.log('/', rerun.ViewCoordinates.RDF, static=True)
        self._known: set[str] = set()
        self._shown: set[str] = set()

    def add(self, frame: FrameResult) -> None:
        """Add a frame.

        Args:
            frame: The result; its image is kept where it has one.
        """
        time = frame.time
        if time is None:
            time = frame.frame_index / (self._fps or 1.0)
        self._stream.set_time('frame', sequence=frame.frame_index)
        self._stream.set_time('video', duration=time)
        self._add_camera(frame)
        names = person_names(frame)
        placed = [person for person in frame.people if person.is_placed]
        meshes = frame_meshes(frame, lod=self._lod)
        for name, person, mesh in zip(names, placed, meshes, strict=True):
            self._add_person(name, mesh, person.joints_3d + person.translation)
        for name in self._shown - set(names):
            self._stream.log(f'people/{name}', self._rerun.Clear(recursive=True))
        self._shown = set(names)

    def close(self) -> Path:
        """Complete the file."""
        try:
            self._end()
            publish(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)
        return self.path

    def discard(self) -> None:
        """Give the recording up; nothing is left."""
        self._end()
        self._temporary.unlink(missing_ok=True)

    def _end(self) -> None:
        self._stream.flush()
        self._stream.disconnect()

    def _add_camera(self, frame: FrameResult) -> None:
        rerun, (width, height) = self._rerun, frame.image_size
        pinhole = rerun.Pinhole(
            image_from_camera=frame.intrinsics,
            resolution=[width, height],
            camera_xyz=rerun.ViewCoordinates.RDF,
        )
        self._stream.log('camera', pinhole)
        if frame.image is None:
            return
        image = frame.image
        if image.shape[1::-1] != (width, height):
            image = cv2.resize(image, (width, height))
        flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        data = cv2.imencode('.jpg', np.ascontiguousarray(image[..., ::-1]), flags)[1]
        encoded = rerun.EncodedImage(contents=data.tobytes(), media_type='image/jpeg')
        self._stream.log('camera', encoded)

    def _add_person(self, name: str, mesh, joints: np.ndarray) -> None:
        rerun, place = self._rerun, f'people/{name}'
        color = np.rint(255 * mean_color(mesh)).astype(np.uint8)
        if name not in self._known:
            self._known.add(name)
            fixed = rerun.Mesh3D.from_fields(triangle_indices=mesh.faces, albedo_factor=color)
            self._stream.log(f'{place}/mesh', fixed, static=True)
        moving = rerun.Mesh3D.from_fields(vertex_positions=mesh.vertices.astype(np.float32))
        self._stream.log(f'{place}/mesh', moving)
        points = rerun.Points3D(joints.astype(np.float32), radii=_JOINT_RADIUS, colors=color)
        self._stream.log(f'{place}/joints', points)
