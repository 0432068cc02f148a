# SPDX-License-Identifier: Apache-2.0
"""People in crowds and far away: boxes of NanoDet where MultiPose saw nobody, then keypoints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from fastmetro_mm.apis.found_people import FoundPeople, person_boxes, separate
from fastmetro_mm.apis.letterbox import letterbox
from fastmetro_mm.apis.overlap import keep_separate, pairwise_iou, shared_parts
from fastmetro_mm.models.nanodet import INPUT_MEAN, INPUT_STD, NanoDet
from fastmetro_mm.speed.acceleration import half_precision

WHOLE, FINEST = 416, 1536
"""Longer sides at which an image is looked at, pixels: where nobody was seen, and at most."""
ENLARGED = 1.3
"""The finer look shows the image at so many times its size, where that is not too large."""
LEAST_SCORE = 0.3
SURE_SCORE = 0.5
"""An outline of this confidence stays without keypoints."""
SAME = 0.5
"""A box is that of a person found if they share more of their union."""
INSIDE = 0.8
"""An outline of which more lies in another person's box is a part of that person, or too hidden."""
SURROUNDINGS, CLOSE_LOOK = 2.5, 256
"""The square around a box that keypoints are looked for in, times its side; its size, pixels."""


class CrowdDetector:
    """Adds people whom NanoDet sees and MultiPose missed.

    NanoDet looks at the whole image, at once and not in tiles since it takes any size. Around each
    of its boxes that is nobody's yet, MultiPose looks again, close up: the person it finds there
    has keypoints and a box as all others. Without such a person a confident outline stays, half as
    confident and with keypoints of zeros.

    The network is loaded at the first image.

    Args:
        device: Where NanoDet runs.
        look: MultiPose's people in an image (H, W, 3) uint8 RGB whose longer side is brought to
            some pixels.
    """

    def __init__(
        self, device: torch.device, look: Callable[[np.ndarray, int], FoundPeople]
    ) -> None:
        self.device, self.look_closely = device, look
        self._network: NanoDet | None = None

    def __call__(self, image: np.ndarray, found: FoundPeople) -> FoundPeople:
        """Add to the people found.

        Args:
            image: RGB. (H, W, 3) uint8
            found: People of MultiPose, without doubles.

        Returns:
            All of them, the most confident first.
        """
        finer = min(FINEST, max(WHOLE, round(ENLARGED * max(image.shape[:2]))))
        sizes = {finer} if len(found.scores) else {WHOLE, finer}
        looks = [self.outlines(image, size) for size in sorted(sizes)]
        boxes, scores = (np.concatenate(parts) for parts in zip(*looks, strict=True))
        left: list[int] = []
        for row in keep_separate(boxes, scores, 0.6):
            if _best_overlap(boxes[row], person_boxes(found)) > SAME:
                continue
            seen = self.around(image, boxes[row])
            overlaps = pairwise_iou(boxes[row : row + 1], person_boxes(seen))[0]
            if overlaps.max(initial=0) > SAME:
                found = found.joined(seen.of([int(overlaps.argmax())]))
            elif scores[row] >= SURE_SCORE:
                left.append(row)
        found = separate(found)
        return separate(found.joined(_outlines_alone(boxes[left], scores[left], found)))

    def outlines(self, image: np.ndarray, longer: int) -> tuple[np.ndarray, np.ndarray]:
        """One pass of NanoDet over the whole image.

        Args:
            image: RGB. (H, W, 3) uint8
            longer: Longer side at which it is looked at, pixels.

        Returns:
            Boxes x1 y1 x2 y2 in pixels of the image (N, 4), doubles among them, and confidences
            (N,).
        """
        if self._network is None:
            self._network = NanoDet().to(self.device, half_precision(self.device))
            self._network.to(memory_format=torch.channels_last)
        x, back = letterbox(image, longer, INPUT_MEAN, INPUT_STD)
        found = self._network(x.to(self.device, half_precision(self.device)), LEAST_SCORE)
        boxes, scores = (part.cpu().numpy() for part in found)
        height, width = image.shape[:2]
        boxes = (boxes * np.tile(back, 2)).clip(0, [width, height, width, height])
        rows = ((boxes[:, 2:] - boxes[:, :2]) > 2).all(axis=1)
        return boxes[rows], scores[rows]

    def around(self, image: np.ndarray, box: np.ndarray) -> FoundPeople:
        """People that MultiPose sees close up.

        Args:
            image: RGB. (H, W, 3) uint8
            box: x1 y1 x2 y2, image pixels. (4,)

        Returns:
            The people in the box's surroundings, in pixels of the image.
        """
        middle, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max()
        reach = SURROUNDINGS * side / 2
        first = np.maximum(np.floor(middle - reach), 0).astype(int)
        last = np.ceil(middle + reach).astype(int)
        seen = self.look_closely(image[first[1] : last[1], first[0] : last[0]], CLOSE_LOOK)
        return FoundPeople(
            seen.boxes + np.tile(first, 2), seen.keypoints + np.append(first, 0), seen.scores
        )


def _best_overlap(box: np.ndarray, boxes: np.ndarray) -> float:
    return float(pairwise_iou(box[None], boxes).max(initial=0))


def _outlines_alone(boxes: np.ndarray, scores: np.ndarray, found: FoundPeople) -> FoundPeople:
    """People without keypoints, of outlines that are nobody's and no part of anybody."""
    people = person_boxes(found)
    free = pairwise_iou(boxes, people).max(axis=1, initial=0) <= SAME
    free &= shared_parts(boxes, people).max(axis=1, initial=0) <= INSIDE
    return FoundPeople(boxes[free], np.zeros((int(free.sum()), 17, 3)), scores[free] / 2)
