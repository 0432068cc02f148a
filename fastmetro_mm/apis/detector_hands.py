# SPDX-License-Identifier: Apache-2.0
"""The hand detector inside the package: palms, then landmarks, which say where and which it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.detector_free import FreeDetector
from fastmetro_mm.apis.overlap import keep_separate
from fastmetro_mm.models.backbones.hand_landmark import HandLandmark
from fastmetro_mm.models.palm_detection import SIZE, PalmDetection

CROP = 224
"""Side of the landmark network's crop, pixels."""
ELBOWS_AND_WRISTS = ((7, 9), (8, 10))
CLOSE_UP = 0.15
"""A palm this large, as a share of the image, is a close-up: nobody is looked for."""
BEYOND_WRIST = 0.3
"""How far a hand's mesh reaches beyond the wrist, as a share of the palm's length."""
MARGIN = 0.04
"""Flesh around the landmarks on every side, as a share of their box's longer side."""
LARGEST = 0.5
"""A hand of a person is not larger than this share of the person."""


class FreeHandDetector:
    """Finds hands with the networks inside the package.

    The palm detector looks at the whole image and, unless that shows a hand close up, around the
    wrists of the people that the person detector finds. The landmark network then looks at each
    palm, upright: it tells hands from what is none, right ones from left ones, and where the
    fingers end.

    The networks are loaded at the first image.

    Args:
        device: ``cpu``, ``cuda``...
        least_palm: Least confidence of a palm.
        least_presence: Least confidence of the landmark network that there is a hand.
    """

    def __init__(
        self, device: str = 'cpu', least_palm: float = 0.5, least_presence: float = 0.5
    ) -> None:
        self.device = torch.device(device)
        self.least_palm, self.least_presence = least_palm, least_presence
        self._people = FreeDetector(device)
        self._palms: Any = None  # both networks are made for the first image
        self._landmarks: Any = None

    def __call__(self, image: np.ndarray) -> list[PersonBox]:
        """Find hands.

        Args:
            image: RGB. (H, W, 3) uint8

        Returns:
            Boxes that say which hand it is, with 21 landmarks each (x, y, and the confidence that
            there is a hand), the most confident first; possibly none.
        """
        if self._landmarks is None:
            self._palms = PalmDetection().to(self.device)
            self._landmarks = HandLandmark(frozen_stages=16, weights='hand_landmark')
            self._landmarks.init_weights()
            self._landmarks.eval().to(self.device)
        longer = max(image.shape[:2])
        # a hand that fills the image is seen better with room around it
        looks = [self._look(image, [0, 0, longer]), self._look(image, around_image(image, 2.0))]
        boxes = np.concatenate([look[0] for look in looks])
        people: list[PersonBox] = []
        if not ((boxes[:, 2:] - boxes[:, :2]).max(axis=1) > CLOSE_UP * longer).any():
            people = self._people(image)
            windows = [window for person in people for window in hand_windows(person)]
            looks += [self._look(image, window) for window in windows]
        boxes, keypoints, scores = (np.concatenate(parts) for parts in zip(*looks, strict=True))
        kept = keep_separate(boxes, scores, 0.3)
        hands = self._hands(image, upright_crops(boxes[kept], keypoints[kept]))
        return [hand for hand in hands if not any(is_too_large(hand, person) for person in people)]

    def _look(
        self, image: np.ndarray, window: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Palms in a square (x, y, side) of the image: boxes, keypoints, confidences."""
        left, top, side = window
        scale = side / SIZE
        to_image = np.array([[scale, 0, left], [0, scale, top]])
        pixels = torch.from_numpy(_cut(image, to_image, SIZE)).permute(2, 0, 1)[None]
        found = self._palms(pixels.to(self.device).float() / 255, self.least_palm)
        boxes, keypoints, scores = (part.cpu().double().numpy() for part in found)
        corner = np.array([left, top])
        return boxes * scale + np.tile(corner, 2), keypoints * scale + corner, scores

    def _hands(self, image: np.ndarray, crops: np.ndarray) -> list[PersonBox]:
        if not len(crops):
            return []
        pixels = np.stack([_cut(image, to_image, CROP) for to_image in crops])
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device).float() / 255
        found = {name: part.cpu().numpy() for name, part in self._landmarks.landmarks(x).items()}
        places = found['landmarks'][..., :2] @ crops[:, :, :2].transpose(0, 2, 1)
        places = places + crops[:, None, :, 2]
        boxes, scores = landmark_boxes(places), found['presence']
        rows = np.flatnonzero(scores >= self.least_presence)
        return [
            PersonBox(
                boxes[row],
                float(scores[row]),
                is_right=bool(found['handedness'][row] >= 0.5),
                keypoints=np.column_stack([places[row], np.full(len(places[row]), scores[row])]),
            )
            for row in rows[keep_separate(boxes[rows], scores[rows], 0.3)]
        ]


def is_too_large(hand: PersonBox, person: PersonBox) -> bool:
    """Whether a hand lies on a person and is too large to be a hand of that person."""
    middle = (hand.bbox[:2] + hand.bbox[2:]) / 2
    if ((middle < person.bbox[:2]) | (middle > person.bbox[2:])).any():
        return False
    sides = [(box.bbox[2:] - box.bbox[:2]).max() for box in (hand, person)]
    return bool(sides[0] > LARGEST * sides[1])


def around_image(image: np.ndarray, factor: float) -> list[float]:
    """The square (x, y, side) around an image, ``factor`` times its longer side."""
    height, width = image.shape[:2]
    side = factor * max(height, width)
    return [(width - side) / 2, (height - side) / 2, side]


def hand_windows(person: PersonBox) -> list[list[float]]:
    """Squares in which the hands of a person should be.

    Args:
        person: A person with COCO's keypoints.

    Returns:
        x, y of the upper left corner and side, image pixels, for every wrist that is seen.
    """
    windows = []
    assert person.keypoints is not None  # the detector gives them
    for elbow, wrist in ELBOWS_AND_WRISTS:
        (start, end), seen = person.keypoints[[elbow, wrist], :2], person.keypoints[wrist, 2] > 0.2
        if not seen:
            continue
        forearm = end - start if person.keypoints[elbow, 2] > 0.2 else np.zeros(2)
        # a forearm seen end on is short, so the person's size counts as well
        whole = np.max(person.bbox[2:] - person.bbox[:2])
        side = max(1.6 * float(np.linalg.norm(forearm)), 0.3 * float(whole))
        windows.append([*(end + 0.3 * forearm - side / 2), side])
    return windows


def upright_crops(boxes: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Squares around whole hands, the fingers up, as the landmark network was trained.

    Args:
        boxes: Palms, x1 y1 x2 y2. (N, 4)
        keypoints: Of the palms; the first is the wrist, the third the middle finger's knuckle.
            (N, 7, 2)

    Returns:
        Affine maps from pixels of the crops to pixels of the image. (N, 2, 3)
    """
    up = keypoints[:, 2] - keypoints[:, 0]
    up = up / np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-6)
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)[:, None]
    center = (boxes[:, :2] + boxes[:, 2:]) / 2 + 0.5 * side * up
    right, down = np.stack([-up[:, 1], up[:, 0]], axis=1), -up
    axes = np.stack([right, down], axis=2) * (2.6 * side / CROP)[..., None]  # columns
    corner = center - (axes @ np.full(2, CROP / 2))
    return np.concatenate([axes, corner[..., None]], axis=2)


def landmark_boxes(places: np.ndarray) -> np.ndarray:
    """Boxes of whole hands around their landmarks, the end of the forearm included.

    Args:
        places: Wrist, four of the thumb, four of each finger, image pixels. (N, 21, 2)

    Returns:
        x1 y1 x2 y2. (N, 4)
    """
    wrist, knuckle = places[:, 0], places[:, 9]
    end = wrist + BEYOND_WRIST * (wrist - knuckle)
    places = np.concatenate([places, end[:, None]], axis=1)
    first, last = places.min(axis=1), places.max(axis=1)
    margin = MARGIN * (last - first).max(axis=1, keepdims=True)
    return np.concatenate([first - margin, last + margin], axis=1)


def _cut(image: np.ndarray, to_image: np.ndarray, size: int) -> np.ndarray:
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # halves the image first, so that nothing flickers; not into nothing
    if np.linalg.norm(to_image[:, 0]) > 2 and min(image.shape[:2]) > 1:
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return _cut(half, to_image / 2, size)
    return cv2.warpAffine(image, to_image, (size, size), flags=how)
