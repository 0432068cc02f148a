# SPDX-License-Identifier: Apache-2.0
"""Per-sample position errors of joints and vertices, in metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastmetro_mm.body.joint_sets import HAND21, HAND21_WRIST, J14, J14_HIPS
from fastmetro_mm.geometry.alignment import as_paired_points, similarity_align

NAMES = ('pred', 'gt')


def default_root(count: int) -> tuple[int, ...]:
    """Joints whose mean is the official origin: the hips of J14, the wrist of HAND21.

    Raises:
        ValueError: for any other number of joints.
    """
    if count == len(J14):
        return tuple(J14_HIPS)
    if count == len(HAND21):
        return (HAND21_WRIST,)
    raise ValueError(
        f'no official root for a set of {count} joints; give root=(...), or '
        'root=() to compare joints as they are'
    )


def joint_distances(
    pred: ArrayLike, gt: ArrayLike, root: Sequence[int] | None = None
) -> np.ndarray:
    """Distance of every joint after centring both sides on their own root.

    Args:
        pred: (B, J, 3) metres.
        gt: (B, J, 3) metres.
        root: joints whose mean becomes the origin; None for the official root of J14 or HAND21,
            an empty sequence for no centring.

    Returns:
        (B, J) float64 metres.

    Raises:
        ValueError: if shapes do not fit or the root is unknown.
    """
    predicted, true = as_paired_points(pred, gt, NAMES)
    root = list(default_root(predicted.shape[1]) if root is None else root)
    if root:
        predicted = predicted - predicted[:, root].mean(axis=1, keepdims=True)
        true = true - true[:, root].mean(axis=1, keepdims=True)
    return np.linalg.norm(predicted - true, axis=-1)


def aligned_distances(pred: ArrayLike, gt: ArrayLike) -> np.ndarray:
    """Distance of every point after proper Procrustes alignment of pred to gt.

    Args:
        pred: (B, N, 3) metres.
        gt: (B, N, 3) metres.

    Returns:
        (B, N) float64 metres; nan in pairs with non-finite numbers.
    """
    pred, gt = as_paired_points(pred, gt, NAMES)
    return np.linalg.norm(similarity_align(pred, gt) - gt, axis=-1)


def mpjpe(pred: ArrayLike, gt: ArrayLike, root: Sequence[int] | None = None) -> np.ndarray:
    """Mean per-joint position error.

    Args:
        pred: (B, J, 3) metres.
        gt: (B, J, 3) metres.
        root: see :func:`joint_distances`; by default both sides are centred on the mean of the
            hips (J14) or on the wrist (HAND21), as in the official evaluation.

    Returns:
        (B,) float64 metres.

    Raises:
        ValueError: if shapes do not fit or the root is unknown.
    """
    return joint_distances(pred, gt, root).mean(axis=-1)


def pa_mpjpe(pred: ArrayLike, gt: ArrayLike) -> np.ndarray:
    """Mean per-joint position error after similarity alignment, proper rotations only.

    Args:
        pred: (B, J, 3) metres.
        gt: (B, J, 3) metres.

    Returns:
        (B,) float64 metres; nan for samples with non-finite numbers.

    Raises:
        ValueError: if shapes do not fit.
    """
    return aligned_distances(pred, gt).mean(axis=-1)


def mpvpe(pred: ArrayLike, gt: ArrayLike) -> np.ndarray:
    """Mean per-vertex position error of meshes that share a centre.

    No centring happens here: the official evaluation centres each mesh on the pelvis regressed
    from it (hands: wrist) beforehand.

    Args:
        pred: (B, V, 3) metres.
        gt: (B, V, 3) metres.

    Returns:
        (B,) float64 metres.

    Raises:
        ValueError: if shapes do not fit.
    """
    pred, gt = as_paired_points(pred, gt, NAMES)
    return np.linalg.norm(pred - gt, axis=-1).mean(axis=-1)


def pa_mpvpe(pred: ArrayLike, gt: ArrayLike) -> np.ndarray:
    """Mean per-vertex position error after similarity alignment of the meshes themselves.

    Args:
        pred: (B, V, 3) metres.
        gt: (B, V, 3) metres.

    Returns:
        (B,) float64 metres; nan for samples with non-finite numbers.

    Raises:
        ValueError: if shapes do not fit.
    """
    return aligned_distances(pred, gt).mean(axis=-1)
