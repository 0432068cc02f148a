# SPDX-License-Identifier: Apache-2.0
"""Boxes, projections and the way of poses from the world into the camera."""

from __future__ import annotations

import cv2
import numpy as np

from fastmetro_mm.dataset_tools.converters.foreign_values import shaped
from fastmetro_mm.dataset_tools.converters.rows import SkipRow


def square_box(
    x: float, y: float, width: float, height: float, padding: float
) -> tuple[np.ndarray, float]:
    """Centre and scale (side / 200) of the square about a box, as in the official labels.

    Args:
        x: Left, px.
        y: Top, px.
        width: px.
        height: px.
        padding: Side of the square / longer side of the box.

    Raises:
        SkipRow: The box is not finite or has no area.
    """
    box = np.array([x, y, width, height], np.float64)
    if not np.isfinite(box).all() or box[2:].min() <= 0:
        raise SkipRow('the box has no area')
    return box[:2] + box[2:] / 2, float(padding * box[2:].max() / 200)


def box_of_points(points: np.ndarray) -> tuple[float, float, float, float]:
    """x, y, width, height of the smallest box about points (N, 2)."""
    low, high = points.min(0), points.max(0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def project(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Perspective projection.

    Args:
        points: (N, 3) metres, camera axes.
        intrinsics: (3, 3).

    Returns:
        (N, 2) px.

    Raises:
        SkipRow: A point lies in or behind the camera.
    """
    if not (points[:, 2] > 1e-3).all():
        raise SkipRow('a joint lies behind the camera')
    image = points @ np.asarray(intrinsics, np.float64).T
    return image[:, :2] / image[:, 2:]


def intrinsics_of(focal: np.ndarray, princpt: np.ndarray) -> np.ndarray:
    """(3, 3) matrix of focal lengths and principal point, px.

    Raises:
        ValueError: Not two numbers each.
    """
    focal, princpt = shaped(focal, 'focal length', (2,)), shaped(princpt, 'principal point', (2,))
    return np.array([[focal[0], 0, princpt[0]], [0, focal[1], princpt[1]], [0, 0, 1]], np.float64)


def rotate_root(pose: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Pose with its global orientation turned by `rotation` (3, 3): world to camera.

    A new array: SPIN's 3DPW script changes the pose in place, so a second use is turned twice.
    """
    turned = np.array(pose, np.float64)
    root = cv2.Rodrigues(turned[:3])[0]
    turned[:3] = cv2.Rodrigues(np.asarray(rotation, np.float64) @ root)[0][:, 0]
    return turned


def translation_in_camera(
    transl: np.ndarray, root: np.ndarray, rotation: np.ndarray, translation: np.ndarray
) -> np.ndarray:
    """SMPL translation that belongs to a pose turned by `rotate_root`.

    SMPL turns about its root joint, which is not the origin, so turning pose and translation
    alone would shift the body (Pose2Mesh ``data/3dpw2coco.py``).

    Args:
        transl: (3,) translation in the world, metres.
        root: (3,) root joint of the shaped rest pose, metres.
        rotation: (3, 3) world to camera.
        translation: (3,) world to camera, metres.
    """
    return rotation @ (transl + root) + translation - root


def with_confidence(points: np.ndarray, confidence: float | np.ndarray = 1.0) -> np.ndarray:
    """Points (N, D) with a last column of confidences."""
    column = np.broadcast_to(np.asarray(confidence, np.float64), len(points))
    return np.column_stack([points, column])
