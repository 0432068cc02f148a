# SPDX-License-Identifier: Apache-2.0
"""What inference returns: the people of one image, with everything needed to place them in it.

Frames and conventions as in ``geometry/camera.py``: *root* is metres, x right, y down, z forward,
origin at the pelvis (hands: wrist); ``camera = root + translation``; pixels are continuous.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.errors import InputError
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.foreign_files.archives import NpzFile
from fastmetro_mm.foreign_files.damage import raise_as
from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.structures.person import PersonMesh
from fastmetro_mm.structures.person_arrays import (
    file_key,
    person_of,
    plain,
    stack_people,
    write_arrays,
)

FORMAT = 'fastmetro_mm.frame.1'
"""Name and version of the npz and JSON layout, stored in every file."""

_HAND = 'hand_'  # before the arrays of hands that go with bodies


@dataclass
class FrameResult:
    """The people of one image or video frame. All share one camera and one scene.

    Args:
        image_path: File the image came from; None for arrays.
        frame_index: Number of the frame in its video, 0 for single images.
        image_size: Width and height, pixels.
        intrinsics: Matrix K of the image's camera, pixels. (3, 3)
        people: People, most confident box first where a detector found them.
        body: Name of the mesh: ``smpl``, ``mano``, ``open_body`` or ``open_hand``.
        faces: Triangles, counter-clockwise seen from outside; of right hands for hands, see
            :meth:`faces_of`. (F, 3)
        image: The image, RGB (H, W, 3) uint8; smaller than ``image_size`` for very large ones;
            None once it is released. Never written to files.
        time: Seconds since the first frame of the video or camera; None for single images.
        hand_body: Name of the mesh of hands where the frame has bodies as well, else None.
        hand_faces: Triangles of right hands where the frame has bodies as well, else None. (F, 3)
    """

    image_path: str | None
    frame_index: int
    image_size: tuple[int, int]
    intrinsics: np.ndarray
    people: list[PersonMesh]
    body: str
    faces: np.ndarray
    image: np.ndarray | None = field(default=None, repr=False)
    hand_body: str | None = None
    hand_faces: np.ndarray | None = None
    time: float | None = None

    @property
    def bodies(self) -> list[PersonMesh]:
        """Those of ``people`` whose mesh is ``body``: all but hands that go with bodies."""
        return [person for person in self.people if not self._is_other_hand(person)]

    @property
    def hands(self) -> list[PersonMesh]:
        """Those of ``people`` that are hands."""
        return [person for person in self.people if person.is_right is not None]

    @property
    def camera(self) -> PerspectiveCamera:
        """Camera that projects ``person.camera_vertices`` to image pixels."""
        return PerspectiveCamera(self.intrinsics, *self.image_size)

    def faces_of(self, person: PersonMesh) -> np.ndarray:
        """Triangles of one person; those of a left hand run the other way round.

        Args:
            person: One of ``people``.

        Returns:
            Vertex numbers, counter-clockwise seen from outside. (F, 3)
        """
        faces = self.faces
        if self.hand_faces is not None and self._is_other_hand(person):
            faces = self.hand_faces
        return faces[:, ::-1] if person.is_right is False else faces

    def body_of(self, person: PersonMesh) -> str:
        """Name of the mesh of one person.

        Args:
            person: One of ``people``.

        Returns:
            ``body``, or ``hand_body`` for hands that go with bodies.
        """
        other = self.hand_body if self._is_other_hand(person) else None
        return other or self.body

    def _is_other_hand(self, person: PersonMesh) -> bool:
        return self.hand_faces is not None and person.is_right is not None

    def at_image_scale(self) -> FrameResult:
        """The frame in the pixels of ``image``, which very large images have fewer of.

        Returns:
            The frame itself where they are those of ``image_size``, as nearly always.
        """
        if self.image is None or self.image.shape[1::-1] == tuple(self.image_size):
            return self
        factor = np.array(self.image.shape[1::-1]) / self.image_size
        people = [
            replace(
                person,
                keypoints=person.keypoints * factor,
                detected_keypoints=None
                if person.detected_keypoints is None
                else person.detected_keypoints * np.append(factor, 1),
                bbox=person.bbox * np.tile(factor, 2),
                crop_to_image=person.crop_to_image * factor[:, None],
            )
            for person in self.people
        ]
        return replace(
            self,
            image_size=self.image.shape[1::-1],
            people=people,
            intrinsics=np.diag([*factor, 1.0]) @ self.intrinsics,
        )

    def to_dict(self, with_meshes: bool = True) -> dict[str, Any]:
        """The frame in lists, numbers and strings, ready for JSON. Not-a-number becomes None.

        Args:
            with_meshes: Whether to include vertices and faces, which are most of the size.

        Returns:
            Keys as the attributes (``camera`` for ``pred_cam``), without the image; and
            ``format``.
        """
        skipped = set() if with_meshes else {'vertices', 'smpl_vertices'}
        people = [
            {
                file_key(item.name): plain(getattr(person, item.name))
                for item in fields(person)
                if item.name not in skipped
            }
            for person in self.people
        ]
        content = dict(
            format=FORMAT,
            image_path=self.image_path,
            frame_index=self.frame_index,
            time=self.time,
            image_size=list(self.image_size),
            intrinsics=plain(self.intrinsics),
            body=self.body,
            people=people,
        )
        if self.hand_body is not None:
            content['hand_body'] = self.hand_body
        if with_meshes:
            content['faces'] = plain(self.faces)
            if self.hand_faces is not None:
                content['hand_faces'] = plain(self.hand_faces)
        return content

    def save_json(self, path: str | Path, with_meshes: bool = False) -> Path:
        """Write :meth:`to_dict` as JSON; an existing file is replaced in one step.

        Args:
            path: File to write; its folder is made if missing.
            with_meshes: As for :meth:`to_dict`; meshes take about 0.5 MB a person.

        Returns:
            The path.
        """
        text = json.dumps(self.to_dict(with_meshes), allow_nan=False)
        return write_atomically(path, text.encode())

    def save_npz(self, path: str | Path) -> Path:
        """Write everything but the image as plain arrays; people are the first axis.

        Unknown ``track_id`` and ``is_right`` are -1; the fields of the SMPL head are there only
        if every person has them. Hands that go with bodies (``hand_faces``) have other numbers of
        vertices and joints: all their arrays are there once more under ``hand_<name>``.

        Args:
            path: File to write, ending in ``.npz``; its folder is made if missing.

        Returns:
            The path.
        """
        arrays = dict(
            format=np.array(FORMAT),
            image_path=np.array(self.image_path or ''),
            frame_index=np.array(self.frame_index),
            time=np.array(np.nan if self.time is None else self.time),
            image_size=np.array(self.image_size),
            intrinsics=self.intrinsics,
            body=np.array(self.body),
            faces=self.faces.astype(np.int32),
        )
        arrays.update(stack_people(self.bodies))
        if self.hand_faces is not None:
            others = [person for person in self.people if self._is_other_hand(person)]
            arrays.update({f'{_HAND}{name}': value for name, value in stack_people(others).items()})
            arrays[f'{_HAND}body'] = np.array(self.hand_body)
            arrays[f'{_HAND}faces'] = self.hand_faces.astype(np.int32)
        return write_atomically(_npz_path(path), lambda name: write_arrays(name, arrays))


def load_npz(path: str | Path) -> FrameResult:
    """Read what :meth:`FrameResult.save_npz` wrote.

    Args:
        path: The file.

    Returns:
        The frame, without its image; hands that go with bodies come after them.

    Raises:
        InputError: If the file is damaged or not of this layout.
    """
    with raise_as(InputError):
        file = NpzFile(path, 'write it with FrameResult.save_npz')
        arrays = {name: file.read(name) for name in file.names}
    if str(arrays.get('format', '')) != FORMAT:
        raise InputError(
            f'{path}: format is {arrays.get("format")}, expected {FORMAT}; write it '
            'with FrameResult.save_npz'
        )
    try:
        return _frame(arrays)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            f'{path}: an array is missing or of another shape '
            f'({type(error).__name__} {error}); write it with FrameResult.save_npz'
        ) from None


def _frame(arrays: Mapping[str, np.ndarray]) -> FrameResult:
    people = [person_of(arrays, number) for number in range(len(arrays['bbox_score']))]
    hands = {
        name.removeprefix(_HAND): value for name, value in arrays.items() if name.startswith(_HAND)
    }
    if hands:
        people += [person_of(hands, number) for number in range(len(hands['bbox_score']))]
    time = float(arrays.get('time', np.nan))
    return FrameResult(
        image_path=str(arrays['image_path']) or None,
        frame_index=int(arrays['frame_index']),
        image_size=tuple(arrays['image_size'].tolist()),
        intrinsics=arrays['intrinsics'],
        people=people,
        body=str(arrays['body']),
        faces=arrays['faces'],
        hand_body=str(hands['body']) if hands else None,
        hand_faces=hands.get('faces'),
        time=None if np.isnan(time) else time,
    )


def _npz_path(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix.lower() != '.npz':
        raise InputError(f'{path}: the name must end with .npz')
    return path
