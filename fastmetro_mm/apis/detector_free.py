# SPDX-License-Identifier: Apache-2.0
"""The person detector inside the package: MultiPose, again if it is unsure, and then NanoDet."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.detector_crowd import CrowdDetector
from fastmetro_mm.apis.found_people import FoundPeople, person_boxes, separate
from fastmetro_mm.apis.letterbox import letterbox
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


class FreeDetector:
    """Finds people with the network inside the package.

    It looks at the whole image at 256 pixels, where people who fill it are seen best, and at 384;
    again at 768 if it saw nobody, somebody small or a crowd, and at 1536 if somebody was still
    small. Boxes are the network's outlines, widened where a sure keypoint lies outside. On
    synthetic people these lie as the boxes that training crops are made from
    (docs/model_cards/detector.md). Where it saw nobody, somebody small or a crowd,
    :class:`CrowdDetector` adds whom it missed.

    The networks are loaded at the first image that needs them.

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
        self.crowds: Callable[[np.ndarray, FoundPeople], FoundPeople]
        self.crowds = CrowdDetector(self.device, self.look)

    def __call__(self, image: np.ndarray) -> list[PersonBox]:
        """Find people.

        Args:
            image: RGB. (H, W, 3) uint8

        Returns:
            Boxes with 17 keypoints each, the most confident first; possibly none. Where only an
            outline is known, all keypoints are zeros with a score of 0.
        """
        longer, unsure = max(image.shape[:2]), False
        found = self.look(image, LOOKS[0])
        for before, size in pairwise(LOOKS):
            if longer <= before or not _is_unsure(found, before, longer):
                break
            found = found.joined(self.look(image, min(size, round(ENLARGED * longer))))
            unsure = before in SMALL
        found = separate(found)
        if unsure or _is_unsure(found, min(SMALL), longer):
            found = self.crowds(image, found)
        likely = found.scores > self.score_threshold
        found = found.of(np.flatnonzero(likely)[: self.max_people])
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
        x, back = letterbox(image, longer, INPUT_MEAN, INPUT_STD)
        x = x.to(self.device, half_precision(self.device))
        parts = self._network(x, self.max_people, self.score_threshold)
        boxes, keypoints, scores = (part.cpu().numpy() for part in parts)
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
