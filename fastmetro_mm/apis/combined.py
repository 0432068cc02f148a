# SPDX-License-Identifier: Apache-2.0
"""Bodies and hands of the same images in one call, before one camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fastmetro_mm.apis.guarding import ErrorHandler, error_handler, guarded
from fastmetro_mm.apis.image_camera import CameraHint
from fastmetro_mm.apis.image_reading import SourceImage
from fastmetro_mm.apis.mesh_inferencer import MeshInferencer
from fastmetro_mm.apis.people_finding import PeopleFinder
from fastmetro_mm.apis.source import Source
from fastmetro_mm.apis.sources import open_source
from fastmetro_mm.errors import InputError
from fastmetro_mm.structures.results import FrameResult


class CombinedInferencer:
    """People and hands of images and videos, placed in the same scene.

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
                f'{body.body.name} and {hands.body.name}'
            )
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
        """Go through the images; results come one by one, in order, while it works.

        Args:
            inputs: As for :class:`MeshInferencer`.
            bboxes: Boxes of people, as there.
            hand_bboxes: Boxes of hands in the same forms, each saying which hand it is:
                ``dict(bbox=[x1, y1, x2, y2], is_right=False)``. If not given, the detector of
                the inferencer for hands finds them.
            keypoints: 2D keypoints of people instead of ``bboxes``.
            camera: What is known about the camera.
            batch_size: People that go through the network at once; hands go image by image.
            track: Videos: whether to number people (hands are not numbered).
            smooth: Videos: whether to smooth people (hands are not smoothed).
            progress: Whether to show progress on the terminal.
            keep_images: Whether results carry their image.
            on_error: As for :class:`MeshInferencer`.

        Returns:
            Generator of one result an image: its people, then its hands, all before the camera
            ``frame.intrinsics``. ``frame.faces_of(person)`` are the triangles of each.

        Raises:
            InputError: If an input, box or argument is of no use.
            FileNotFoundError: If an input is missing.
        """
        if hand_bboxes is None and self.hands.detector is None:
            raise InputError('give hand_bboxes, or a detector to the inferencer for hands')
        on_error = error_handler(on_error)
        source = open_source(inputs, on_error)
        finder = PeopleFinder(
            source, hand_bboxes, None, self.hands.detector, self.hands.body, None, on_error, 'hand'
        )
        frames = self.body(
            source,
            bboxes,
            keypoints,
            camera=camera,
            batch_size=batch_size,
            track=track,
            smooth=smooth,
            progress=progress,
            on_error=on_error,
        )

        def both() -> Iterator[FrameResult]:
            for frame in frames:
                found = None
                with guarded(frame.image_path or f'image {frame.frame_index}', on_error):
                    found = self._with_hands(frame, finder, batch_size, source.is_video, on_error)
                    if not keep_images:
                        found.image = None
                if found is not None:
                    yield found
            finder.finish()

        return both()

    def _with_hands(
        self,
        frame: FrameResult,
        finder: PeopleFinder,
        batch_size: int,
        of_video: bool,
        on_error: ErrorHandler,
    ) -> FrameResult:
        """The frame with the hands of its image after its people."""
        image = SourceImage(
            _pixels_of(frame),
            frame.frame_index,
            frame.image_path,
            frame.image_size,
            of_video=of_video,
        )
        people = list(frame.people)
        boxes = finder(image)
        if boxes:
            # The intrinsics that were found for the bodies, not the hint they came from: pixels
            # have no EXIF data.
            alone = Source(iter([replace(image, index=0)]), length=1)
            for found in self.hands(
                alone,
                boxes,
                camera=CameraHint(frame.intrinsics),
                batch_size=batch_size,
                on_error=on_error,
            ):
                people += found.people
        return replace(
            frame, people=people, hand_body=self.hands.body.name, hand_faces=self.hands.body.faces
        )


def _pixels_of(frame: FrameResult) -> np.ndarray:
    if frame.image is None:
        raise InputError(f'frame {frame.frame_index} has no image: keep images for the hands')
    return frame.image
