# SPDX-License-Identifier: Apache-2.0
"""What the page draws of a frame: boxes, and meshes as base64."""

import base64
from typing import Any

import numpy as np

from fastmetro_mm.body.mesh_body import MeshBody
from fastmetro_mm.exporters.scene import AXES
from fastmetro_mm.serve.job import numbered
from fastmetro_mm.structures.results import FrameResult
from fastmetro_mm.visualization.sample_people import person_color


def face_sets(body: MeshBody) -> list[str]:
    """Triangles as little-endian uint16: of bodies and right hands, and of left hands."""
    return [_encode(faces.astype('<u2')) for faces in (body.faces, body.faces[:, ::-1])]


def frame_content(frame: FrameResult) -> dict[str, Any]:
    """One frame for the viewer.

    Returns:
        ``frame``, ``time`` (seconds), ``size`` and ``intrinsics`` (pixels) and ``people``:
        ``number``, ``box`` (pixels), ``score``, ``color``, ``faces`` (place in :func:`face_sets`)
        and ``vertices`` (metres, camera frame with y up; little-endian float32; None for people
        without a place in the scene).
    """
    people = [
        dict(
            number=number,
            box=[round(float(value), 2) for value in person.bbox],
            score=round(float(person.bbox_score), 4),
            color=[round(part, 4) for part in person_color(number)],
            faces=int(person.is_right is False),
            vertices=_encode((person.camera_vertices @ AXES['y_up'].T).astype('<f4'))
            if person.is_placed
            else None,
        )
        for number, person in numbered(frame)
    ]
    return dict(
        frame=frame.frame_index,
        time=frame.time,
        size=list(frame.image_size),
        intrinsics=np.asarray(frame.intrinsics, float).tolist(),
        people=people,
    )


def _encode(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode('ascii')
