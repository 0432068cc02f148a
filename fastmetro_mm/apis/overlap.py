# SPDX-License-Identifier: Apache-2.0
"""How much boxes overlap, and which of near doubles stay; in NumPy, for the boxes of one image."""

from __future__ import annotations

import numpy as np


def pairwise_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair of boxes.

    Args:
        first: x1 y1 x2 y2. (N, 4)
        second: x1 y1 x2 y2. (M, 4)

    Returns:
        Between 0 and 1; 0 for two boxes without an area. (N, M)
    """
    shared, areas = _shared_areas(first, second)
    union = areas[0][:, None] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def shared_parts(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How much of each first box lies in each second one.

    Args:
        first: x1 y1 x2 y2. (N, 4)
        second: x1 y1 x2 y2. (M, 4)

    Returns:
        Between 0 and 1; 0 for a first box without an area. (N, M)
    """
    shared, (areas, _) = _shared_areas(first, second)
    whole = np.broadcast_to(areas[:, None], shared.shape)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def _shared_areas(
    first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Intersection of every pair of boxes (N, M), and the areas of both sets."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    upper = np.maximum(first[:, None, :2], second[:, :2])
    lower = np.minimum(first[:, None, 2:], second[:, 2:])
    shared = np.clip(lower - upper, 0, None).prod(axis=2)
    first_areas, second_areas = (
        (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)
    )
    return shared, (first_areas, second_areas)


def keep_separate(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float) -> list[int]:
    """Numbers of the boxes that stay when near doubles are dropped, most confident first.

    Args:
        boxes: x1 y1 x2 y2. (N, 4)
        scores: Confidences. (N,)
        iou_threshold: Overlap above which the less confident box is dropped.

    Returns:
        Numbers of boxes.
    """
    order = np.argsort(-np.asarray(scores), kind='stable')
    ranked = np.asarray(boxes)[order]
    stays = np.ones(len(order), dtype=bool)
    for rank in range(len(order)):
        if stays[rank]:
            overlap = pairwise_iou(ranked[rank : rank + 1], ranked[rank + 1 :])[0]
            stays[rank + 1 :] &= overlap <= iou_threshold
    return order[stays].tolist()
