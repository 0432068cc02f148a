# SPDX-License-Identifier: Apache-2.0
"""Where the crop lies in the image, and how points go between the two.

Positions are continuous: pixel (i, j) covers [i, i+1] x [j, j+1], so a crop of `size` pixels
spans exactly [0, size] and network coordinates in [-1, 1] are ``2 * x / size - 1``. A mirrored
crop then negates x exactly, which positions of pixel centres would not give.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from fastmetro_mm.errors import DataRowError


class CropWindow(NamedTuple):
    """Whole-pixel rectangle of the image, right and bottom excluded; may leave the image."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Width in px."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Height in px."""
        return self.bottom - self.top


def official_box_matrix(center: np.ndarray, scale: float, size: int, rot: float) -> np.ndarray:
    """Matrix of the official code from image to crop, without truncation.

    Formula: ``get_transform`` in FastMETRO ``src/utils/image_ops.py``. Its order of operations
    is kept: results are truncated to integers afterwards, so the last bit matters.

    Args:
        center: (2,) px.
        scale: Side of the box / 200.
        size: Side of the crop, px.
        rot: Rotation, degrees.

    Returns:
        (3, 3) float64.
    """
    side = 200 * scale
    zoom = float(size) / side
    matrix = np.array(
        [
            [zoom, 0, size * (-float(center[0]) / side + 0.5)],
            [0, zoom, size * (-float(center[1]) / side + 0.5)],
            [0, 0, 1],
        ]
    )
    if rot == 0:
        return matrix
    angle = -rot * np.pi / 180
    sin, cos = np.sin(angle), np.cos(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    to_middle = np.array([[1, 0, -size / 2], [0, 1, -size / 2], [0, 0, 1]])
    back = np.array([[1, 0, size / 2], [0, 1, size / 2], [0, 0, 1]])
    return np.dot(back, np.dot(turn, np.dot(to_middle, matrix)))


def crop_window(center: np.ndarray, scale: float, size: int) -> CropWindow:
    """Rectangle of the image that the crop shows before rotation.

    As in the official code (``crop``), corners are truncated toward zero, which part of the
    published numbers depends on.

    Raises:
        DataRowError: The box is smaller than a pixel.
    """
    matrix = official_box_matrix(center, scale, size, 0)
    # Back to the image with the reciprocal, not a division: that is what the official matrix
    # inverse computes, and for boxes with whole-number corners (FreiHAND: 112 - 90) the last
    # bit decides between two pixels.
    zoom_back = 1 / matrix[0, 0]
    corner = -matrix[:2, 2] * zoom_back
    top_left = corner.astype(int)
    bottom_right = (zoom_back * size + corner).astype(int)
    window = CropWindow(*top_left.tolist(), *bottom_right.tolist())
    if window.width < 1 or window.height < 1:
        raise DataRowError(f'the box has only {200 * scale:.2f} px')
    return window


def crop_to_image_matrix(window: CropWindow, size: int, rot: float, flip: bool) -> np.ndarray:
    """Affine map from crop positions to image positions.

    The crop is made by: cut the window, rotate it about its middle (positive: counter-clockwise
    on the screen), resize to `size`, mirror. This is the way back.

    Args:
        window: Cut rectangle.
        size: Side of the crop, px.
        rot: Rotation, degrees.
        flip: Whether the crop is mirrored.

    Returns:
        (2, 3) float64.
    """
    angle = np.deg2rad(rot)
    sin, cos = np.sin(angle), np.cos(angle)
    turn_back = np.array([[cos, -sin], [sin, cos]])  # inverse of cv2.getRotationMatrix2D(rot)
    zoom = np.array([window.width / size, window.height / size])
    linear = turn_back * zoom  # columns: a step in x, a step in y of the unmirrored crop
    middle = np.array([window.left + window.width / 2, window.top + window.height / 2])
    origin = middle - linear @ np.array([size / 2, size / 2])
    if flip:
        origin = origin + linear[:, 0] * size
        linear = linear * np.array([-1.0, 1.0])
    return np.column_stack([linear, origin])


def invert_affine(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a (2, 3) affine map."""
    return cv2.invertAffineTransform(np.asarray(matrix, np.float64))


def apply_affine(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map points (N, 2) with a (2, 3) affine map."""
    return points @ matrix[:, :2].T + matrix[:, 2]
