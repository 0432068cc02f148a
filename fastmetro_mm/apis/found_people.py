# SPDX-License-Identifier: Apache-2.0
"""People that looks at an image have found: joined, doubles dropped, boxes for crops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmetro_mm.apis.overlap import keep_separate

SURE_KEYPOINT = 0.3
"""A keypoint of this score lies inside of the box."""


@dataclass(frozen=True)
class FoundPeople:
    """People of one or more looks, in pixels of the image.

    Attributes:
        boxes: x1 y1 x2 y2. (N, 4)
        keypoints: x, y, score in COCO's order; zeros where only the outline is known. (N, 17, 3)
        scores: Confidences. (N,)
    """

    boxes: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray

    @property
    def sides(self) -> np.ndarray:
        """Longer sides of the boxes, pixels (N,)."""
        return (self.boxes[:, 2:] - self.boxes[:, :2]).max(axis=1)

    def of(self, rows: np.ndarray | list[int]) -> FoundPeople:
        """Some of them."""
        return FoundPeople(self.boxes[rows], self.keypoints[rows], self.scores[rows])

    def joined(self, other: FoundPeople) -> FoundPeople:
        """The people of both."""
        return FoundPeople(
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.keypoints, other.keypoints]),
            np.concatenate([self.scores, other.scores]),
        )


def separate(found: FoundPeople, overlap: float = 0.6) -> FoundPeople:
    """Drop doubles, which several looks and neighbouring peaks give; the most confident stay.

    Args:
        found: People of all looks.
        overlap: Boxes that share more of their union are one person. So are people whose sure
            keypoints lie near to each other: the mean of ``exp(-d^2 / 2s^2)`` above a half, ``s``
            a twentieth of the larger box's side. A part of a person found as a person of its own
            goes that way.

    Returns:
        The people, most confident first.
    """
    found = found.of(keep_separate(found.boxes, found.scores, overlap))
    kept: list[int] = []
    sure = found.keypoints[..., 2] > 0.2
    for row in range(len(found.scores)):
        both = sure[row] & sure[kept]
        far = found.keypoints[row, :, :2] - found.keypoints[kept, :, :2]
        spread = 0.05 * np.maximum(found.sides[row], found.sides[kept])[:, None]
        alike = np.exp(-np.square(far).sum(-1) / (2 * spread**2)) * both
        counts = both.sum(axis=1)
        if not ((counts >= 3) & (alike.sum(axis=1) > 0.5 * counts)).any():
            kept.append(row)
    return found.of(kept)


def person_boxes(found: FoundPeople) -> np.ndarray:
    """Boxes for crops: outlines, widened to hold every sure keypoint.

    Args:
        found: People.

    Returns:
        x1 y1 x2 y2, image pixels. (N, 4)
    """
    sure = found.keypoints[..., 2:] > SURE_KEYPOINT
    places = found.keypoints[..., :2]
    first = np.where(sure, places, np.inf).min(axis=1, initial=np.inf)
    last = np.where(sure, places, -np.inf).max(axis=1, initial=-np.inf)
    return np.concatenate(
        [np.minimum(found.boxes[:, :2], first), np.maximum(found.boxes[:, 2:], last)], axis=1
    )
