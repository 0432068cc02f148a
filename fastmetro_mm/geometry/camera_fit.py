# SPDX-License-Identifier: Apache-2.0
"""Cameras recovered from points that are known on both sides, by least squares."""

import numpy as np


def fit_pred_cam(
    points: np.ndarray, crop_norm: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray | None:
    """Weak-perspective camera that best projects 3D points onto their places in the crop.

    Labels hold 2D and 3D joints but no camera; this is the one with which the labelled mesh can be
    drawn over the image. Minimises ``sum w |s (XY + t) - xy|^2`` in closed form.

    Args:
        points: Points in the root frame, metres. (N, 3)
        crop_norm: Their places in the crop, [-1, 1]. (N, 2)
        weights: Non-negative weights, all 1 if not given. (N,)

    Returns:
        ``(s, tx, ty)`` (3,), or None if the points do not determine one with s > 0.
    """
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    total = weights.sum()
    if total <= 0:
        return None
    share = (weights / total)[:, None]
    flat = np.asarray(points, dtype=np.float64)[:, :2]
    target = np.asarray(crop_norm, dtype=np.float64)
    flat_mean, target_mean = (share * flat).sum(0), (share * target).sum(0)
    centered = flat - flat_mean
    spread = (share * centered**2).sum()
    if not spread > 1e-12:
        return None
    scale = (share * centered * (target - target_mean)).sum() / spread
    if not (np.isfinite(scale) and scale > 0):
        return None
    return np.array([scale, *(target_mean / scale - flat_mean)])


def fit_similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rotation, scale and shift of the plane that best map points onto others.

    Args:
        source: Points. (N, 2)
        target: Where they should go. (N, 2)

    Returns:
        Affine matrix ``[[a, -b, x], [b, a, y]]``. (2, 3)

    Raises:
        ValueError: If all source points are the same.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(0), target.mean(0)
    x, y = (source - source_mean).T
    u, v = (target - target_mean).T
    spread = (x * x + y * y).sum()
    if spread <= 0:
        raise ValueError('all source points are the same, no map can be fitted to them')
    a, b = (x * u + y * v).sum() / spread, (x * v - y * u).sum() / spread
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, target_mean - linear @ source_mean])
