# SPDX-License-Identifier: Apache-2.0
"""Who is who from frame to frame, from boxes alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.overlap import pairwise_iou

_MIN_IOU = 0.15  # of a box with the expected one
_INERTIA = 0.6  # share of the old velocity in the new one


def grown(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes with longer sides about the same middles, x1 y1 x2 y2 (N, 4)."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([middle - factor * half, middle + factor * half], axis=1)


@dataclass
class _Track:
    """One person: last box, its velocity in pixels a frame, frames since it was seen.

    Frames are those that are looked at.
    """

    number: int
    bbox: np.ndarray
    is_right: bool | None
    velocity: np.ndarray | None
    unseen: int = 0
    score: float = 1.0

    def moved(self, frames: float) -> np.ndarray:
        """Where the box should be some frames after it was seen (4,)."""
        # the middle moves on; the size stays
        return (
            self.bbox if self.velocity is None else (self.bbox + np.tile(self.velocity, 2) * frames)
        )

    @property
    def expected(self) -> np.ndarray:
        """Where the box should be in this frame (4,)."""
        return self.moved(self.unseen + 1)


class BoxTracker:
    """Joins boxes to people by overlap with where each person was heading.

    Every person moves on with constant velocity; boxes are assigned to people so that the sum of
    overlaps is the largest (Hungarian method). People who cross keep their numbers as long as
    they do not change direction while they hide each other. Memory does not grow with the video.

    Args:
        max_unseen: Frames for which a person is remembered while no box fits.
        stride: Frames of the video from one update to the next. People go further in between, so
            that boxes are compared grown by a fifth of their size for each frame that is left out.
        reserved: Numbers that will be given by the user; a number that turns up without having
            been reserved is taken from the track that has it, which gets a new one.
    """

    def __init__(self, max_unseen: int = 30, reserved: Iterable[int] = (), stride: int = 1) -> None:
        self.max_unseen = max_unseen
        self.growth = 1 + 0.2 * (stride - 1)
        self._tracks: list[_Track] = []
        self._taken = set(reserved)
        self._last = 0

    def update(self, boxes: Sequence[PersonBox]) -> list[PersonBox]:
        """Number the boxes of the next frame.

        Args:
            boxes: Boxes; one that has a number already keeps it and is not tracked.

        Returns:
            The same boxes in the same order, with ``track_id``.
        """
        given = {box.track_id for box in boxes if box.track_id is not None}
        self._taken |= given
        for track in self._tracks:
            if track.number in given:
                track.number = self._new_number()
        open_boxes = [index for index, box in enumerate(boxes) if box.track_id is None]
        pairs = self._assign([boxes[index] for index in open_boxes])
        numbered = list(boxes)
        seen = set()
        for place, index in enumerate(open_boxes):
            box = boxes[index]
            track = pairs.get(place)
            if track is None:
                track = _Track(self._new_number(), np.asarray(box.bbox, float), box.is_right, None)
                self._tracks.append(track)
            else:
                self._move(track, np.asarray(box.bbox, float))
            track.score = box.score
            seen.add(track.number)
            numbered[index] = replace(box, track_id=track.number)
        for track in self._tracks:
            if track.number not in seen:
                track.unseen += 1
        self._tracks = [track for track in self._tracks if track.unseen <= self.max_unseen]
        return numbered

    def moved_on(self, frames: float) -> list[PersonBox]:
        """Where the people of the last update should be by now.

        Args:
            frames: Updates that would have come since, e.g. half of one.

        Returns:
            Numbered boxes.
        """
        return [
            PersonBox(track.moved(frames), track.score, track.is_right, track.number)
            for track in self._tracks
            if track.unseen == 0
        ]

    def _new_number(self) -> int:
        self._last += 1
        while self._last in self._taken:
            self._last += 1
        return self._last

    def _assign(self, boxes: Sequence[PersonBox]) -> dict[int, _Track]:
        """Track of each box that has one, by the place of the box."""
        if not boxes or not self._tracks:
            return {}
        iou = pairwise_iou(
            grown(np.stack([box.bbox for box in boxes]).astype(float), self.growth),
            grown(np.stack([track.expected for track in self._tracks]), self.growth),
        )
        for row, box in enumerate(boxes):
            for column, track in enumerate(self._tracks):
                if box.is_right != track.is_right:
                    iou[row, column] = 0.0
        from scipy.optimize import linear_sum_assignment  # half a second: only for videos

        rows, columns = linear_sum_assignment(-iou)
        return {
            int(row): self._tracks[column]
            for row, column in zip(rows, columns, strict=True)
            if iou[row, column] >= _MIN_IOU
        }

    def _move(self, track: _Track, bbox: np.ndarray) -> None:
        frames = track.unseen + 1
        step = ((bbox[:2] + bbox[2:]) - (track.bbox[:2] + track.bbox[2:])) / 2 / frames
        if track.velocity is None:
            track.velocity = step
        track.velocity = _INERTIA * track.velocity + (1 - _INERTIA) * step
        track.bbox, track.unseen = bbox, 0
