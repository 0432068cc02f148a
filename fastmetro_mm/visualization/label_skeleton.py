# SPDX-License-Identifier: Apache-2.0
"""Drawing labelled joints and their links over an image."""

from __future__ import annotations

import cv2
import numpy as np

from fastmetro_mm.body.joint_sets import HAND21, J14, J24_TO_J14
from fastmetro_mm.body.skeletons import (
    FINGER_COLORS,
    HAND21_SKELETON,
    J14_SKELETON,
    LEFT_COLOR,
    MIDDLE_COLOR,
    RIGHT_COLOR,
)

_FAR = 10000  # the drawing functions overflow far outside of the image


def _color(name: str) -> tuple[int, int, int]:
    if name in HAND21:
        return FINGER_COLORS[name.split('_')[0]]
    return {'R_': RIGHT_COLOR, 'L_': LEFT_COLOR}.get(name[:2], MIDDLE_COLOR)


def draw_skeleton(image: np.ndarray, points: np.ndarray, trusted: np.ndarray) -> np.ndarray:
    """Draw labelled joints and their links; right orange, left green.

    Args:
        image: RGB. (H, W, 3) uint8
        points: Label joints, pixels: of a body (24, 2), of which the 14 predicted ones are linked
            and the others dotted small, or of a hand (21, 2).
        trusted: Whether each joint is drawn. (24,) or (21,)

    Returns:
        RGB, a copy. (H, W, 3) uint8
    """
    image = np.ascontiguousarray(image).copy()
    ends = np.clip(np.round(points), -_FAR, _FAR).astype(int)
    if len(points) == len(HAND21):
        names, links = HAND21, HAND21_SKELETON
    else:
        for row in set(range(len(points))) - set(J24_TO_J14):
            if trusted[row]:
                cv2.circle(image, ends[row].tolist(), 1, MIDDLE_COLOR, -1, cv2.LINE_AA)
        names, links = J14, J14_SKELETON
        ends, trusted = ends[list(J24_TO_J14)], trusted[list(J24_TO_J14)]
    width = max(1, image.shape[0] // 160)
    for first, second in links:
        if trusted[first] and trusted[second]:
            side = names[second] if names is HAND21 or names[first][1] != '_' else names[first]
            cv2.line(
                image, ends[first].tolist(), ends[second].tolist(), _color(side), width, cv2.LINE_AA
            )
    for row, name in enumerate(names):
        if trusted[row]:
            cv2.circle(image, ends[row].tolist(), width + 1, _color(name), -1, cv2.LINE_AA)
    return image
