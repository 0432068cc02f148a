# SPDX-License-Identifier: Apache-2.0
"""A box around a person: checked and normalised where it comes in, trusted further on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastmetro_mm.errors import InputError

LARGEST_SIDE = 10_000
"""Longest side of a box, pixels of the image as it is worked on; as for boxes of labels."""

_KEYS = ('bbox', 'score', 'is_right', 'track_id')
_SIDES = {'left': False, 'right': True}


@dataclass(frozen=True)
class PersonBox:
    """Where one person (or hand) is.

    Args:
        bbox: x1 y1 x2 y2, image pixels. (4,)
        score: Confidence.
        is_right: Hands: whether it is a right one: a bool (also NumPy's), 0 or 1, ``'left'`` or
            ``'right'``; None if nothing is said.
        track_id: Number of the person through a video, 0 or more; None if nothing is said.
        whole_image: The image is a crop already: its shorter side is resized to the crop and the
            middle cut out, nothing is added.
        keypoints: What a detector saw: x, y in image pixels and a score; COCO's 17 keypoints of a
            person, MediaPipe's 21 landmarks of a hand. (K, 3)

    Raises:
        InputError: If a value is none of these.
    """

    bbox: np.ndarray
    score: float = 1.0
    is_right: bool | None = None
    track_id: int | None = None
    whole_image: bool = False
    keypoints: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, 'bbox', _corners(self.bbox))
        object.__setattr__(self, 'score', _score(self.score))
        object.__setattr__(self, 'is_right', parse_side(self.is_right))
        object.__setattr__(self, 'track_id', _track_id(self.track_id))

    def scaled(self, factor: np.ndarray) -> PersonBox:
        """The box in the image at another size.

        Args:
            factor: New pixels to an old one, along x and y. (2,)

        Returns:
            The box.
        """
        keypoints = None if self.keypoints is None else self.keypoints * np.append(factor, 1)
        return replace(self, bbox=self.bbox * np.tile(factor, 2), keypoints=keypoints)

    def mirrored(self, width: int) -> PersonBox:
        """The box in the image seen in a mirror.

        Args:
            width: Width of the image, pixels.

        Returns:
            The box; handedness is left as it is.
        """
        x1, y1, x2, y2 = self.bbox
        return replace(self, bbox=np.array([width - x2, y1, width - x1, y2]))


def whole_image_box(size: tuple[int, int]) -> PersonBox:
    """The box of an image that is a crop already.

    Args:
        size: Width and height of the image, pixels.
    """
    return PersonBox(np.array([0.0, 0.0, *size]), whole_image=True)


def check_box(
    box: PersonBox, image_size: tuple[int, int], where: str, reduction: float = 1.0
) -> PersonBox:
    """The box, if a person can be cut out with it.

    Args:
        box: Box.
        image_size: Width and height of its image, pixels.
        where: Image and box for the message.
        reduction: Pixels of the image to a pixel that is worked on.

    Returns:
        The same box.

    Raises:
        InputError: If it is not finite, has no area, lies outside of the image or is too large.
    """
    corners = [round(float(value), 2) for value in box.bbox]
    if not np.isfinite(box.bbox).all():
        raise InputError(f'{where}: box {corners} is not finite: give x1 y1 x2 y2 in pixels')
    x1, y1, x2, y2 = box.bbox
    if x2 - x1 < 1 or y2 - y1 < 1:
        raise InputError(
            f'{where}: box {corners} has no area (x2 > x1 and y2 > y1 by a pixel are '
            'needed): give x1 y1 x2 y2, not x y width height'
        )
    width, height = image_size
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        raise InputError(
            f'{where}: box {corners} lies outside of the {width}x{height} image: '
            'give pixels of this image'
        )
    if not box.whole_image and max(x2 - x1, y2 - y1) > LARGEST_SIDE * reduction:
        raise InputError(
            f'{where}: box {corners} is larger than {LARGEST_SIDE * reduction:g} '
            f'pixels, the image has {width}x{height}: give pixels of this image'
        )
    return box


def parse_box(item: Any, where: str) -> PersonBox:
    """One box.

    Args:
        item: 4 numbers x1 y1 x2 y2, 5 with a score, a :class:`PersonBox`, or a dict with ``bbox``
            and perhaps ``score``, ``is_right`` and ``track_id``.
        where: Image and box for the message.

    Raises:
        InputError: If it is none of these.
    """
    if isinstance(item, PersonBox):
        return item
    try:
        if not isinstance(item, Mapping):
            numbers = _numbers(item)
            if numbers.shape not in ((4,), (5,)):
                raise InputError(f'expected x1 y1 x2 y2 (and a score), got {shown(item)}')
            return PersonBox(numbers[:4], *numbers[4:])
        unknown = [str(key) for key in item if key not in _KEYS]
        if 'bbox' not in item or unknown:
            raise InputError(
                f'expected keys {", ".join(_KEYS)}, got {", ".join(map(str, item)) or "none"}'
            )
        numbers = _numbers(item['bbox'])
        if numbers.shape == (5,) and 'score' in item:
            raise InputError('the score is given twice, in bbox and as score')
        if numbers.shape not in ((4,), (5,)):
            raise InputError(f'bbox must be x1 y1 x2 y2, got {shown(item["bbox"])}')
        values = {key: item[key] for key in item if key != 'bbox'}
        if numbers.shape == (5,):
            values['score'] = numbers[4]
        return PersonBox(numbers[:4], **values)
    except InputError as error:
        raise InputError(f'{where}: {error}') from None


def box_of_keypoints(keypoints: Any, where: str) -> PersonBox:
    """Box around 2D keypoints, as the official 3DPW labels make it.

    Args:
        keypoints: Image pixels, and perhaps a confidence; keypoints of confidence 0 or below, or
            not finite, are left out. (K, 2) or (K, 3)
        where: Image and person for the message.

    Returns:
        The tight box; the crop then gets its margin (factor 1.2) like every other box.

    Raises:
        InputError: If fewer than two keypoints are of use.
    """
    try:
        points = _numbers(keypoints)
    except InputError as error:
        raise InputError(f'{where}: {error}') from None
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise InputError(
            f'{where}: keypoints must be (K, 2) or (K, 3) per person, got {points.shape}'
        )
    used = np.isfinite(points).all(axis=1)
    if points.shape[1] == 3:
        used &= points[:, 2] > 0
    if used.sum() < 2:
        raise InputError(f'{where}: {used.sum()} keypoints are visible, a box needs at least two')
    points = points[used, :2]
    return PersonBox(np.concatenate([points.min(axis=0), points.max(axis=0)]))


def parse_side(value: Any) -> bool | None:
    """Which hand it is.

    Args:
        value: A bool (also NumPy's), 0 or 1, ``'left'``, ``'right'``, or None.

    Returns:
        True for the right hand, False for the left, None for None.

    Raises:
        InputError: If it is anything else.
    """
    value = _scalar(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _SIDES:
        return _SIDES[value.strip().lower()]
    raise InputError(
        f'is_right must be true or false (or 1, 0, "right", "left"), got {shown(value)}'
    )


def _score(value: Any) -> float:
    value = _scalar(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(
            f'score must be a finite number, got {shown(value)}: leave it out if it is not known'
        )
    return float(value)


def _track_id(value: Any) -> int | None:
    value = _scalar(value)
    if value is None:
        return None
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not 0 <= value < 2**53:
        raise InputError(
            f'track_id must be a whole number, 0 or more, got {shown(value)}: leave '
            'it out if it is not known'
        )
    return int(value)


def _corners(value: Any) -> np.ndarray:
    numbers = _numbers(value)
    if numbers.shape != (4,):
        raise InputError(f'bbox must be x1 y1 x2 y2, got {shown(value)}')
    return numbers


def _numbers(value: Any) -> np.ndarray:
    """An array of numbers; text, bools and None are none."""
    try:
        array = np.asarray(value)
        if array.dtype == object and all(_is_number(item) for item in array.reshape(-1)):
            array = array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError):  # ragged, or a tensor on another device
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in 'iuf':
        raise InputError(f'expected numbers, got {shown(value)}')
    return array.astype(np.float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))


def _scalar(value: Any) -> Any:
    """The Python value of NumPy's and torch's scalars."""
    if isinstance(value, (str, Sequence, Mapping)) or not hasattr(value, 'item'):
        return value
    return value.item() if getattr(value, 'ndim', 1) == 0 else value


def shown(value: Any) -> str:
    """A value in a message, cut to a bearable length."""
    text = ' '.join(repr(value).split())
    return text if len(text) <= 80 else f'{text[:77]}...'
