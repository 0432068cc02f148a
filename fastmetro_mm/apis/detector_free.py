# SPDX-License-Identifier: Apache-2.0
"""The person detector inside the package: MoveNet MultiPose, which looks again if it is unsure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import torch

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.overlap import keep_separate
from fastmetro_mm.models.backbones.inverted_residual import lower_precision
from fastmetro_mm.models.backbones.movenet import INPUT_MEAN, INPUT_STD
from fastmetro_mm.models.multipose import MultiPose
from fastmetro_mm.speed.acceleration import half_precision
from fastmetro_mm.speed.packed import can_pack, pack

LOOKS = (256, 384, 768, 1536)
"""Longer sides at which an image is looked at, pixels."""
SMALL = {384: 150, 768: 64}
"""In a look of this size a person whose box is smaller asks for the next look."""
MANY = 5
"""So many people at 384 pixels ask for the next look."""
ENLARGED = 1.3
"""No look but the first shows the image at more than so many times its size."""
SURE_KEYPOINT = 0.3
"""A keypoint of this score lies inside of the box."""


@dataclass(frozen=True)
class FoundPeople:
    """People of one or more looks, in pixels of the image.

    Attributes:
        boxes: x1 y1 x2 y2. (N, 4)
        keypoints: x, y, score in COCO's order. (N, 17, 3)
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


class FreeDetector:
    """Finds people with the network inside the package.

    It looks at the whole image at 256 pixels, where people who fill it are seen best, and at 384;
    again at 768 if it saw nobody, somebody small or a crowd, and at 1536 if somebody was still
    small. Boxes are the network's outlines, widened where a sure keypoint lies outside. On
    synthetic people these lie as the boxes that training crops are made from
    (docs/model_cards/detector.md).

    The network is loaded at the first image.

    Args:
        device: ``cpu``, ``cuda``...
        score_threshold: Least confidence of a person.
        max_people: Most people of an image.
    """

    def __init__(
        self, device: str = 'cpu', score_threshold: float = 0.15, max_people: int = 100
    ) -> None:
        self.device = torch.device(device)
        self.score_threshold = score_threshold
        self.max_people = max_people
        self._network: MultiPose | None = None

    def __call__(self, image: np.ndarray) -> list[PersonBox]:
        """Find people.

        Args:
            image: RGB. (H, W, 3) uint8

        Returns:
            Boxes with 17 keypoints each, the most confident first; possibly none.
        """
        longer = max(image.shape[:2])
        found = self.look(image, LOOKS[0])
        for before, size in pairwise(LOOKS):
            if longer <= before or not _is_unsure(found, before, longer):
                break
            found = found.joined(self.look(image, min(size, round(ENLARGED * longer))))
        found = separate(found)
        return [
            PersonBox(box, float(score), keypoints=keypoints)
            for box, keypoints, score in zip(
                person_boxes(found), found.keypoints, found.scores, strict=True
            )
        ]

    def look(self, image: np.ndarray, longer: int) -> FoundPeople:
        """One pass of the network over the whole image.

        Args:
            image: RGB. (H, W, 3) uint8
            longer: Longer side at which it is looked at, pixels.

        Returns:
            People above the threshold.
        """
        if self._network is None:
            self._network = _load(self.device)
        height, width = image.shape[:2]
        scale = longer / max(height, width)
        rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        shown = cv2.resize(image, (columns, rows), interpolation=how)
        # grey below and on the right, up to multiples of 32
        canvas = np.zeros((-(-rows // 32) * 32, -(-columns // 32) * 32, 3), np.float32)
        canvas[:rows, :columns] = (shown - np.float32(INPUT_MEAN)) / np.float32(INPUT_STD)
        x = torch.from_numpy(canvas).permute(2, 0, 1)[None]
        x = x.to(self.device, half_precision(self.device))
        parts = self._network(x, self.max_people, self.score_threshold)
        boxes, keypoints, scores = (part.cpu().numpy() for part in parts)
        back = np.array([width / columns, height / rows], np.float32)
        boxes = (boxes * np.tile(back, 2)).clip(0, [width, height, width, height])
        keypoints = keypoints * np.append(back, 1)
        rows_used = (scores > self.score_threshold) & ((boxes[:, 2:] - boxes[:, :2]) > 2).all(1)
        return FoundPeople(boxes, keypoints, scores).of(rows_used)


def _is_unsure(found: FoundPeople, size: int, longer: int) -> bool:
    """Whether a look at more than ``size`` pixels may find more people."""
    if size not in SMALL:
        return True
    people = separate(found)
    if size == min(SMALL) and not 0 < len(people.scores) < MANY:
        return True
    return bool((people.sides * size / longer < SMALL[size]).any())


def _load(device: torch.device) -> MultiPose:
    network = MultiPose().to(device).to(memory_format=torch.channels_last)
    lower_precision(network, half_precision(device))
    if can_pack(device):
        pack(network)
    return network


def separate(found: FoundPeople, overlap: float = 0.6, likeness: float = 0.5) -> FoundPeople:
    """Drop doubles, which several looks and neighbouring peaks give; the most confident stay.

    Args:
        found: People of all looks.
        overlap: Boxes that share more of their union are one person.
        likeness: So are people whose sure keypoints lie nearer to each other than this: the mean
            of ``exp(-d^2 / 2s^2)``, ``s`` a twentieth of the larger box's side. A part of a person
            found as a person of its own goes that way.

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
        if not ((counts >= 3) & (alike.sum(axis=1) > likeness * counts)).any():
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
