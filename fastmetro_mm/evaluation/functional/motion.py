# SPDX-License-Identifier: Apache-2.0
"""Motion over consecutive frames: its errors, and how steady it is without any truth."""

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


def acceleration(joints: ArrayLike, fps: float) -> np.ndarray:
    """How fast joints change their speed, by second differences.

    Args:
        joints: (T, J, 3) metres, consecutive frames of one person.
        fps: Frames a second.

    Returns:
        (T - 2,) float64 metres per second squared, the mean over joints for every inner frame;
        empty for fewer than three frames.

    Raises:
        ValueError: if the shape does not fit.
    """
    return _differences(joints, 2) * fps**2


def jitter(joints: ArrayLike, fps: float) -> np.ndarray:
    """How unsteady joints are: how fast their acceleration changes, by third differences.

    Args:
        joints: (T, J, 3) metres, consecutive frames of one person.
        fps: Frames a second.

    Returns:
        (T - 3,) float64 metres per second cubed, the mean over joints; papers divide it by 10.
        Empty for fewer than four frames.

    Raises:
        ValueError: if the shape does not fit.

    Reference:
        Flash and Hogan, The coordination of arm movements, J. Neurosci. 1985; as an error of
        meshes Yi et al., TransPose, SIGGRAPH 2021.
    """
    return _differences(joints, 3) * fps**3


def foot_sliding(feet: ArrayLike, contact: ArrayLike) -> np.ndarray:
    """How far feet slide while they stand.

    Args:
        feet: (T, F, 3) metres in the world, points of the soles in consecutive frames.
        contact: (T, F) whether a point stands; from measured motion, or :func:`foot_contact`.

    Returns:
        (T - 1,) float64 metres: the mean way between two frames of the points that stand in both;
        nan where none does.

    Raises:
        ValueError: if shapes do not fit.

    Reference:
        Shin et al., WHAM, CVPR 2024.
    """
    feet = _track(feet, 'feet')
    contact = np.asarray(contact, dtype=bool)
    if contact.shape != feet.shape[:2]:
        raise ValueError(f'contact: expected {feet.shape[:2]}, got {contact.shape}')
    stands = contact[1:] & contact[:-1]
    ways = np.linalg.norm(np.diff(feet, axis=0), axis=-1)
    count = stands.sum(axis=1)
    with np.errstate(invalid='ignore'):
        return np.where(stands, ways, 0.0).sum(axis=1) / count


def foot_contact(
    feet: ArrayLike, up: ArrayLike, height: float = 0.03, ground: float | None = None
) -> np.ndarray:
    """Which points of the soles stand, by their height alone.

    By height and not by speed, or feet that slide would never stand.

    Args:
        feet: (T, F, 3) metres in the world.
        up: (3,) direction away from the ground, any length.
        height: Metres over the ground up to which a point stands.
        ground: Height of the ground along ``up``, metres; that of the lowest twentieth of all
            points if not given.

    Returns:
        (T, F) bool.

    Raises:
        ValueError: if shapes do not fit.
    """
    feet, up = _track(feet, 'feet'), np.asarray(up, dtype=np.float64)
    if up.shape != (3,) or not np.linalg.norm(up) > 0:
        raise ValueError(f'up: expected three numbers, not all 0, got {up.tolist()}')
    heights = feet @ (up / np.linalg.norm(up))
    level = np.quantile(heights, 0.05) if ground is None and heights.size else ground
    return heights <= (level or 0.0) + height


def _differences(joints: ArrayLike, order: int) -> np.ndarray:
    """Mean length over joints of differences of an order, (T - order,)."""
    return np.linalg.norm(np.diff(_track(joints, 'joints'), n=order, axis=0), axis=-1).mean(axis=-1)


def _track(points: ArrayLike, name: str) -> np.ndarray:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 3 or points.shape[1] == 0 or points.shape[2] != 3:
        raise ValueError(f'{name}: expected (T, points, 3), got {points.shape}')
    return points
