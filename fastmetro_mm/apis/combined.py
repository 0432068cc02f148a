# SPDX-License-Identifier: Apache-2.0
"""Bodies and hands of the same pictures in one call, before one camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastmetro_mm.apis.boxes import PersonBox, check_box, given_for, parse_boxes
from fastmetro_mm.apis.mesh_inferencer import MeshInferencer, error_handler
from fastmetro_mm.apis.picture_camera import CameraHint
from fastmetro_mm.apis.sources import ErrorHandler, Source, open_source
from fastmetro_mm.errors import InputError
from fastmetro_mm.structures.results import FrameResult


class CombinedInferencer:
    """People and hands of pictures and videos, placed in the same scene.

    Nothing is fused: the mesh of a person keeps its own (stiff) hands, the hands are meshes of
    their own, as far away as their network's camera says.

    Example::

        both = CombinedInferencer(MeshInferencer(BODY, WEIGHTS), MeshInferencer(HAND, HAND_WEIGHTS))
        for frame in both('photo.jpg', bboxes=[[280, 44, 499, 391]],
                          hand_bboxes=[dict(bbox=[430, 180, 465, 210], is_right=False)]):
            frame.save_npz('photo.npz')

    Args:
        body: Inferencer with a network for bodies.
        hands: Inferencer with a network for hands.

    Raises:
        InputError: If one of them is for the other.
    """

    def __init__(self, body: MeshInferencer, hands: MeshInferencer) -> None:
        if body.is_hand or not hands.is_hand:
            raise InputError(
                'CombinedInferencer takes a network for bodies, then one for hands, got '
                f'{body.assets.name} and {hands.assets.name}')
        self.body = body
        self.hands = hands

    def __call__(
        self,
        inputs: Any,
        bboxes: Any = None,
        hand_bboxes: Any = None,
        keypoints: Any = None,
        camera: CameraHint | None = None,
        batch_size: int = 16,
        track: bool = True,
        smooth: bool = False,
        progress: bool = False,
        keep_images: bool = True,
        on_error: str | ErrorHandler = 'raise',
    ) -> Iterator[FrameResult]:
        """Go through the pictures; results come one by one, in order, while it works.

        Args:
            inputs: As for :class:`MeshInferencer`.
            bboxes: Boxes of people, as there.
            hand_bboxes: Boxes of hands in the same forms, each saying which hand it is:
                ``dict(bbox=[x1, y1, x2, y2], is_right=False)``. If not given, the detector of
                the inferencer for hands finds them.
            keypoints: 2D keypoints of people instead of ``bboxes``.
            camera: What is known about the camera.
            batch_size: People that go through the network at once; hands go picture by picture.
            track: Videos: whether to number people (hands are not numbered).
            smooth: Videos: whether to smooth people (hands are not smoothed).
            progress: Whether to show progress on the terminal.
            keep_images: Whether results carry their picture.
            on_error: As for :class:`MeshInferencer`.

        Returns:
            Generator of one result a picture: its people, then its hands, all before the camera
            ``frame.intrinsics``. ``frame.faces_of(person)`` are the triangles of each.

        Raises:
            InputError: If an input, box or argument is of no use.
            FileNotFoundError: If an input is missing.
        """
        if hand_bboxes is None and self.hands.detector is None:
            raise InputError('give hand_bboxes, or a detector to the inferencer for hands')
        on_error = error_handler(on_error)
        source = open_source(inputs, on_error)
        frames = self.body(
            source, bboxes, keypoints, camera=camera, batch_size=batch_size, track=track,
            smooth=smooth, progress=progress, on_error=on_error)
        return (
            self._with_hands(frame, source, hand_bboxes, batch_size, keep_images, on_error)
            for frame in frames)

    def _with_hands(
        self, frame: FrameResult, source: Source, hand_bboxes: Any, batch_size: int,
        keep_images: bool, on_error: ErrorHandler,
    ) -> FrameResult:
        """The frame with the hands of its picture after its people."""
        people = list(frame.people)
        boxes = self._hand_boxes(frame, source, hand_bboxes, on_error)
        if boxes:
            # The intrinsics that were found for the bodies, not the hint they came from: an array
            # has no EXIF data.
            found, = self.hands(
                frame.image[..., ::-1], boxes, camera=CameraHint(frame.intrinsics),
                batch_size=batch_size)
            people += found.people
        return replace(
            frame, people=people, hand_body=self.hands.assets.name,
            hand_faces=self.hands.assets.faces[0], image=frame.image if keep_images else None)

    def _hand_boxes(
        self, frame: FrameResult, source: Source, hand_bboxes: Any, on_error: ErrorHandler
    ) -> list[PersonBox]:
        """Usable boxes of hands; errors of the others are handed to ``on_error``."""
        where = frame.image_path or f'picture {frame.frame_index}'
        is_file = not source.is_video and frame.image_path is not None
        try:
            if hand_bboxes is None:
                boxes = list(self.hands.detector(frame.image))
            else:
                name = Path(frame.image_path).name if is_file else None
                given = given_for(hand_bboxes, frame.frame_index, name, source.in_list)
                boxes = parse_boxes(given, f'{where}, hands')
        except InputError as error:
            on_error(error)
            return []
        usable = []
        for number, box in enumerate(boxes):
            try:
                check_box(box, frame.image_size, f'{where}, hand {number}')
                if box.is_right is None:
                    raise InputError(
                        f'{where}, hand {number}: the box does not say which hand it is: give '
                        'dict(bbox=[x1, y1, x2, y2], is_right=True or False)')
            except InputError as error:
                on_error(error)
                continue
            usable.append(box)
        return usable
