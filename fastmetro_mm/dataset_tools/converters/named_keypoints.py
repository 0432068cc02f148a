# SPDX-License-Identifier: Apache-2.0
"""Annotated keypoints of any named set brought into the order of the labels."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from fastmetro_mm.body.joint_sets import HAND21
from fastmetro_mm.dataset_tools.converters.foreign_values import numbers
from fastmetro_mm.dataset_tools.converters.rows import SkipRow

_COCO17 = (
    'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder',
    'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee',
    'right_knee', 'left_ankle', 'right_ankle',
)  # fmt: skip
_MPII16 = (
    'right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle', 'pelvis',
    'thorax', 'neck', 'top_of_head', 'right_wrist', 'right_elbow', 'right_shoulder',
    'left_shoulder', 'left_elbow', 'left_wrist',
)  # fmt: skip
_BY_COUNT = {17: _COCO17, 16: _MPII16, len(HAND21): HAND21}


def plain_name(name: str) -> str:
    """Name without regard to case, to "left"/"L" and to how mmpose writes fingers."""
    name = name.lower().replace(' ', '_').replace('-', '_')
    name = name.replace('left_', 'l_', 1).replace('right_', 'r_', 1)
    name = name.replace('forefinger', 'index').replace('_finger', '')  # middle_finger2 -> middle_2
    name = re.sub(r'([a-z])(\d)$', r'\1_\2', name)
    return {'head_top': 'top_of_head', 'headtop': 'top_of_head'}.get(name, name)


def reorder_keypoints(flat: list, names: Sequence[str] | None, target: Sequence[str]) -> np.ndarray:
    """Annotated points in the order of `target`.

    Args:
        flat: x, y, v triples as COCO writes them, in one list or in rows of three.
        names: Their names; without, COCO's, MPII's or a hand's by their number.
        target: Wanted joints; those that `names` lacks get visibility 0.

    Returns:
        (J, 3) px and visibility 0 or 1.

    Raises:
        SkipRow: Not triples of numbers (null is none), as many as no names are known for, or no
            name is known.
    """
    try:
        points = numbers(flat, 'keypoints')
        if points.ndim == 1 and len(points) % 3 == 0:
            points = points.reshape(-1, 3)
        if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
            raise ValueError
    except ValueError:
        raise SkipRow('keypoints are not x, y, v triples of numbers') from None
    if (points[:, 2] < 0).any():
        raise SkipRow('the visibility v of a keypoint is below 0')
    names = names or _BY_COUNT.get(len(points))
    if names is None or len(names) != len(points):
        raise SkipRow(f'{len(points)} keypoints without as many names in categories')
    rows = {plain_name(joint): i for i, joint in enumerate(target)}
    if not any(plain_name(joint) in rows for joint in names):
        raise SkipRow(f'no keypoint has a known name: {", ".join(names)[:60]}')
    joints = np.zeros((len(target), 3))
    for joint, point in zip(names, points, strict=True):
        if plain_name(joint) in rows and point[2] > 0:
            joints[rows[plain_name(joint)]] = (point[0], point[1], 1.0)
    return joints
