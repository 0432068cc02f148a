# SPDX-License-Identifier: Apache-2.0
"""Share of correct points against the allowed distance, and the area under that curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def pck(distances: ArrayLike, threshold: float) -> float:
    """Share of points not farther off than the threshold.

    Args:
        distances: any shape, metres; nan counts as wrong.
        threshold: metres, inclusive.

    Returns:
        A number in [0, 1], nan if there are no points.
    """
    distances = np.asarray(distances, dtype=np.float64)
    return float((distances <= threshold).mean()) if distances.size else float('nan')


def pck_curve(
    distances: ArrayLike, maximum: float = 0.05, steps: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """PCK of every keypoint at evenly spaced thresholds.

    The defaults are those of the FreiHAND evaluation.

    Args:
        distances: (B, K) metres.
        maximum: largest threshold, metres; the smallest is 0.
        steps: number of thresholds.

    Returns:
        Thresholds (steps,) in metres and curves (K, steps).

    Raises:
        ValueError: if distances are not (B, K) with B > 0, or the thresholds make no range.
    """
    distances = np.asarray(distances, dtype=np.float64)
    if distances.ndim != 2 or distances.shape[0] == 0:
        raise ValueError(f'distances: expected shape (B, K) with B > 0, got {distances.shape}')
    if not maximum > 0 or steps < 2:
        raise ValueError(
            f'thresholds: need a positive maximum and at least two steps, got {maximum} and {steps}'
        )
    thresholds = np.linspace(0.0, maximum, steps)
    # counting by search keeps memory at B x K; side='right' makes the threshold inclusive
    ranked = np.sort(distances, axis=0)
    counts = np.stack([np.searchsorted(column, thresholds, side='right') for column in ranked.T])
    return thresholds, counts / distances.shape[0]


def auc(distances: ArrayLike, maximum: float = 0.05, steps: int = 100) -> float:
    """Area under the PCK curve over its width, averaged over keypoints.

    Args:
        distances: (B, K) metres.
        maximum: largest threshold, metres.
        steps: number of thresholds.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: as in :func:`pck_curve`.
    """
    thresholds, curves = pck_curve(distances, maximum, steps)
    widths = np.diff(thresholds)
    areas = ((curves[:, 1:] + curves[:, :-1]) * 0.5 * widths).sum(axis=1)
    return float((areas / maximum).mean())


def auc_by_sample(distances: ArrayLike, maximum: float = 0.05, steps: int = 100) -> np.ndarray:
    """:func:`auc` of every sample by itself, for many samples at once.

    The curve of a single point is a step, so its area follows from the first threshold that the
    distance does not exceed.

    Args:
        distances: (B, K) metres; nan counts as wrong at every threshold.
        maximum: largest threshold, metres.
        steps: number of thresholds.

    Returns:
        (B,) numbers in [0, 1].
    """
    thresholds = np.linspace(0.0, maximum, steps)
    first = np.searchsorted(thresholds, np.nan_to_num(distances, nan=np.inf), side='left')
    whole = steps - 1
    # a step at the first threshold fills everything, one after the last nothing; the trapezoid
    # that holds the step counts half
    areas = np.concatenate([[whole], np.arange(whole, 0, -1) - 0.5, [0.0]]) / whole
    return areas[first].mean(axis=-1)
