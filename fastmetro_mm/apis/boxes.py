# SPDX-License-Identifier: Apache-2.0
"""Boxes around people, in every form a user may have them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.errors import InputError, MissingFileError


@dataclass(frozen=True)
class PersonBox:
    """Where one person (or hand) is.

    Args:
        bbox: x1 y1 x2 y2, image pixels. (4,)
        score: Confidence.
        is_right: Hands: whether it is a right one.
        track_id: Number of the person through a video.
    """

    bbox: np.ndarray
    score: float = 1.0
    is_right: bool | None = None
    track_id: int | None = None

    def mirrored(self, width: int) -> PersonBox:
        """The box in the picture seen in a mirror.

        Args:
            width: Width of the picture, pixels.

        Returns:
            The box; handedness is left as it is.
        """
        x1, y1, x2, y2 = self.bbox
        return replace(self, bbox=np.array([width - x2, y1, width - x1, y2]))


def check_box(box: PersonBox, image_size: tuple[int, int], where: str) -> PersonBox:
    """The box, if a person can be cut out with it.

    Args:
        box: Box.
        image_size: Width and height of its picture, pixels.
        where: Picture and box for the message.

    Returns:
        The same box.

    Raises:
        InputError: If it is not finite, has no area or lies outside of the picture.
    """
    shown = [round(float(value), 2) for value in box.bbox]
    if not np.isfinite(box.bbox).all():
        raise InputError(f'{where}: box {shown} is not finite: give x1 y1 x2 y2 in pixels')
    x1, y1, x2, y2 = box.bbox
    if x2 - x1 < 1 or y2 - y1 < 1:
        raise InputError(f'{where}: box {shown} has no area (x2 > x1 and y2 > y1 by a pixel are '
                         'needed): give x1 y1 x2 y2, not x y width height')
    width, height = image_size
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        raise InputError(f'{where}: box {shown} lies outside of the {width}x{height} picture: '
                         'give pixels of this picture')
    return box


def parse_boxes(value: Any, where: str) -> list[PersonBox]:
    """Boxes of one picture from arrays, lists or dicts.

    Args:
        value: One box or a sequence of boxes. A box is 4 numbers x1 y1 x2 y2, 5 with a score, a
            :class:`PersonBox`, or a dict with ``bbox`` and perhaps ``score``, ``is_right`` and
            ``track_id``.
        where: Picture for the message.

    Returns:
        The boxes.

    Raises:
        InputError: If the value has none of these forms.
    """
    if not isinstance(value, (PersonBox, Mapping, Sequence, np.ndarray)) or isinstance(value, str):
        raise InputError(f'{where}: expected boxes x1 y1 x2 y2, got {value!r}')
    if isinstance(value, (PersonBox, Mapping)) or (len(value) and _is_number(value[0])):
        value = [value]
    return [_parse_box(item, f'{where}, box {number}') for number, item in enumerate(value)]


def box_of_keypoints(keypoints: np.ndarray, where: str) -> PersonBox:
    """Box around 2D keypoints, as the official 3DPW labels make it.

    Args:
        keypoints: Image pixels, and perhaps a confidence; keypoints of confidence 0 or below, or
            not finite, are left out. (K, 2) or (K, 3)
        where: Picture for the message.

    Returns:
        The tight box; the crop then gets its margin (factor 1.2) like every other box.

    Raises:
        InputError: If fewer than two keypoints are of use.
    """
    points = np.asarray(keypoints, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise InputError(f'{where}: keypoints must be (K, 2) or (K, 3) per person, got '
                         f'{points.shape}')
    used = np.isfinite(points).all(axis=1)
    if points.shape[1] == 3:
        used &= points[:, 2] > 0
    if used.sum() < 2:
        raise InputError(f'{where}: {used.sum()} keypoints are visible, a box needs at least two')
    points = points[used, :2]
    return PersonBox(np.concatenate([points.min(axis=0), points.max(axis=0)]))


def read_boxes(path: str | Path) -> dict[str, list[PersonBox]] | list[PersonBox]:
    """Read boxes from a JSON file.

    Args:
        path: Either a list of boxes, for every picture, or an object from picture name (or frame
            number) to its list. Boxes as in :func:`parse_boxes`.

    Returns:
        The list, or lists by name.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it does not hold boxes.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path}: no such file of boxes: check the path')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise InputError(f'{path}: not JSON ({error}): write {{"photo.jpg": [[x1, y1, x2, y2]]}}'
                         ) from None
    if isinstance(content, list):
        return parse_boxes(content, str(path))
    if isinstance(content, dict):
        return {name: parse_boxes(value, f'{path}: {name}') for name, value in content.items()}
    raise InputError(f'{path}: expected a list of boxes or an object from picture name to boxes')


def given_for(given: Any, index: int, name: str | None, in_list: bool) -> Any:
    """What was given for one picture or frame, of boxes or keypoints.

    Args:
        given: For one picture, or for every one alike; or a dict by picture name, stem or frame
            number; or, where many pictures were given as a list, a list with an entry for each.
        index: Number of the picture in the list, or of the frame.
        name: File name of the picture, if it has one.
        in_list: Whether the pictures came as a list, so that ``given`` has an entry for each.

    Returns:
        The entry; an empty one if a dict has none.

    Raises:
        InputError: If there is no entry in a list.
    """
    if isinstance(given, Mapping) and 'bbox' not in given:
        keys = [name, Path(name).stem if name else None, str(index), index]
        return next((given[key] for key in keys if key is not None and key in given), ())
    if not in_list:
        return given
    if index >= len(given):
        raise InputError(f'{name or f"picture {index}"}: boxes or keypoints were given for '
                         f'{len(given)} pictures only: give one entry for each picture')
    return given[index]


def _parse_box(item: Any, where: str) -> PersonBox:
    if isinstance(item, PersonBox):
        return item
    if isinstance(item, Mapping):
        unknown = set(item) - {'bbox', 'score', 'is_right', 'track_id'}
        if 'bbox' not in item or unknown:
            raise InputError(f'{where}: expected keys bbox, score, is_right, track_id, got '
                             f'{", ".join(map(str, item)) or "none"}')
        box = _parse_box(item['bbox'], where)
        return replace(box, **{key: item[key] for key in item if key != 'bbox'})
    try:
        numbers = np.asarray(item, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.size not in (4, 5):
        raise InputError(f'{where}: expected x1 y1 x2 y2 (and a score), got {item!r}')
    return PersonBox(numbers[:4], float(numbers[4]) if numbers.size == 5 else 1.0)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number))
