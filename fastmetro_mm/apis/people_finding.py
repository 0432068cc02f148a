# SPDX-License-Identifier: Apache-2.0
"""Where the people of an image are: as given, as detected, or the whole image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastmetro_mm.apis.boxes import (
    PersonBox,
    box_of_keypoints,
    check_box,
    parse_box,
    parse_side,
    whole_image_box,
)
from fastmetro_mm.apis.given import BOX, KEYPOINTS, Given
from fastmetro_mm.apis.guarding import ErrorHandler, guarded, notice
from fastmetro_mm.apis.image_reading import SourceImage
from fastmetro_mm.apis.source import Source
from fastmetro_mm.body.mesh_body import MeshBody
from fastmetro_mm.errors import InputError


class PeopleFinder:
    """Finds usable boxes in the images of one input; what is wrong with the others is told.

    Args:
        source: The input.
        bboxes: What was given for it, or for several inputs as a ``Given``, whose owner then looks
            after keys left over.
        keypoints: 2D keypoints instead, in the same forms.
        detector: Function from RGB pixels to boxes, used if nothing was given.
        body: What is looked for.
        is_right: Hands: handedness of boxes that do not say; None refuses those.
        on_error: Called with the error of an image or box.
        what: Name of one of them in messages.

    Raises:
        InputError: If what was given has no meaning for this input.
    """

    def __init__(
        self,
        source: Source,
        bboxes: Any,
        keypoints: Any,
        detector: Callable[[np.ndarray], Sequence[PersonBox]] | None,
        body: MeshBody,
        is_right: Any,
        on_error: ErrorHandler,
        what: str = 'box',
    ) -> None:
        self._parse = parse_box if keypoints is None else box_of_keypoints
        self._detector, self._on_error, self._what = detector, on_error, what
        self._body, self._is_right = body, parse_side(is_right)
        value = bboxes if keypoints is None else keypoints
        self._is_ours = not isinstance(value, Given)
        self._given, self._all = None, None
        if value is not None:
            kind, name = (BOX, 'bboxes') if keypoints is None else (KEYPOINTS, 'keypoints')
            self._all = Given(value, kind, name) if self._is_ours else value
            self._given = self._all.for_source(source)
            if not source.is_video:
                self._tell_left_over()
        self._said_whole, self._is_video = False, source.is_video

    @property
    def track_ids(self) -> list[int]:
        """Track ids that were given."""
        return [] if self._given is None else list(self._given.track_ids())

    def __call__(self, image: SourceImage) -> list[PersonBox]:
        """Find the people of the next image.

        Returns:
            Boxes that can be cut out, in full pixels; for hands each says which one it is.
        """
        found: Sequence[Any] = ()
        with guarded(image.where, self._on_error):
            found = self._raw(image)
        return list(self._usable(image, found))

    def finish(self) -> None:
        """Tell what was given for frames that never came."""
        late = None if self._given is None else self._given.beyond_the_end()
        if late is not None:
            self._on_error(late)
        self._tell_left_over()

    def _raw(self, image: SourceImage) -> Sequence[Any]:
        if self._given is not None:
            try:
                return self._given.people(image.index)
            except InputError as error:
                raise InputError(f'{image.where}: {error}') from None
        if self._detector is not None:
            found = list(self._detector(image.pixels))
            if (image.reduction != 1).any():
                found = [parse_box(item, image.where).scaled(image.reduction) for item in found]
            if not found and not self._is_video:
                notice(
                    f'{image.where}: the detector found nobody: give a box, or take the whole '
                    "image as one crop (detector='none', --detector none)"
                )
            return found
        if not self._said_whole:
            side, self._said_whole = min(image.size), True
            notice(
                f'{image.where}: no boxes and no detector: taken as a crop of one person, its '
                f'middle {side}x{side} of {image.size[0]}x{image.size[1]}'
            )
        return [whole_image_box(image.size)]

    def _usable(self, image: SourceImage, found: Sequence[Any]) -> Iterator[PersonBox]:
        parse = parse_box if self._given is None else self._parse
        numbers: set[int] = set()
        for number, item in enumerate(found):
            usable, where = None, f'{image.where}, {self._what} {number}'
            with guarded(where, self._on_error):
                box = self._sided(parse(item, where), where)
                check_box(box, image.size, where, float(image.reduction.max()))
                if box.track_id in numbers:
                    raise InputError(f'{where}: track_id {box.track_id} comes twice in this image')
                usable = box
            if usable is not None:
                if usable.track_id is not None:
                    numbers.add(usable.track_id)
                yield usable

    def _sided(self, box: PersonBox, where: str) -> PersonBox:
        if not self._body.is_hand:
            if box.is_right is not None:
                raise InputError(
                    f'{where}: is_right is for hands, this network is for bodies: '
                    'leave it out, or choose a network for hands'
                )
            return box
        if box.is_right is None and self._is_right is None:
            raise InputError(
                f'{where}: the box does not say which hand it is: give '
                'dict(bbox=[x1, y1, x2, y2], is_right=True or False)'
            )
        return replace(box, is_right=self._is_right) if box.is_right is None else box

    def _tell_left_over(self) -> None:
        left = self._all.left_over() if self._all is not None and self._is_ours else None
        if left is not None:
            self._is_ours = False  # once
            self._on_error(left)
