# SPDX-License-Identifier: Apache-2.0
"""Errors of motion over consecutive frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastmetro_mm.geometry.alignment import as_paired_points


def acceleration_error(pred: ArrayLike, gt: ArrayLike, fps: float | None = None) -> np.ndarray:
    """Mean difference of joint accelerations, by second differences.

    Args:
        pred: (T, J, 3) metres, consecutive frames of one person.
        gt: (T, J, 3) metres.
        fps: frames a second; if given the result is in m/s^2, otherwise in metres a squared
            frame, the unit of the video papers (times 1000).

    Returns:
        (T - 2,) float64, one number for every inner frame; empty for fewer than three frames.

    Raises:
        ValueError: if shapes do not fit.
    """
    pred, gt = as_paired_points(pred, gt, ('pred', 'gt'))
    if pred.shape[0] < 3:
        return np.zeros(0)
    difference = pred - gt
    second = difference[2:] - 2.0 * difference[1:-1] + difference[:-2]
    error = np.linalg.norm(second, axis=-1).mean(axis=-1)
    return error if fps is None else error * fps * fps
