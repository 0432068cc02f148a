# SPDX-License-Identifier: Apache-2.0
"""Similarity (Procrustes) alignment of point sets, many pairs at once.

Two alignments are in official use and must not be mixed up:

* :func:`similarity_align` allows proper rotations only; PA-MPJPE of body papers.
* :func:`similarity_align_reflecting` also allows mirror images; the FreiHAND evaluation.

Both work in float64. A pair with a non-finite number gives nan for that pair and leaves the others
alone. A source whose points all coincide has no scale; it is moved onto the centroid of its target.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike


def as_paired_points(
    source: ArrayLike, target: ArrayLike, names: tuple[str, str] = ('source', 'target')
) -> tuple[np.ndarray, np.ndarray]:
    """Convert two sets of points to float64 and check that they belong together.

    Args:
        source: (B, N, 3).
        target: (B, N, 3).
        names: names used in the error message.

    Returns:
        Both as float64 arrays.

    Raises:
        ValueError: unless both have the same shape (B, N, 3) with N > 0.
    """
    first = np.asarray(source, dtype=np.float64)
    second = np.asarray(target, dtype=np.float64)
    if first.ndim != 3 or first.shape[-1] != 3 or first.shape[1] == 0:
        raise ValueError(f'{names[0]}: expected points of shape (B, N, 3), got {first.shape}')
    if first.shape != second.shape:
        raise ValueError(
            f'{names[0]} {first.shape} and {names[1]} {second.shape} must have the '
            'same shape (B, N, 3)'
        )
    return first, second


def similarity_align(source: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Scale, rotate (det = +1) and shift each source onto its target in the least-squares sense.

    The alignment inside the official PA-MPJPE (Umeyama with the sign of the determinant moved to
    the weakest singular direction).

    Args:
        source: (B, N, 3), any unit.
        target: (B, N, 3), any unit.

    Returns:
        Aligned source, (B, N, 3) float64, in the frame and unit of the target.

    Raises:
        ValueError: if shapes do not fit.
    """
    return _aligned(source, target, _fit_rotation)


def similarity_align_reflecting(source: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Scale, rotate *or mirror*, and shift each source onto its target.

    The alignment of the official FreiHAND evaluation: both sides divided by their norm (plus
    1e-8), orthogonal Procrustes without a determinant constraint.

    Args:
        source: (B, N, 3), any unit.
        target: (B, N, 3), any unit.

    Returns:
        Aligned source, (B, N, 3) float64, in the frame and unit of the target.

    Raises:
        ValueError: if shapes do not fit.
    """
    return _aligned(source, target, _fit_reflection)


def _aligned(
    source: ArrayLike, target: ArrayLike, fit: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Sources moved onto their targets by a fit of the centred ones; nan where a number is none."""
    source, target = as_paired_points(source, target)
    aligned = np.full_like(source, np.nan)
    finite = np.asarray((np.isfinite(source) & np.isfinite(target)).all(axis=(1, 2)))
    if finite.any():
        source, target = source[finite], target[finite]
        target_mean = target.mean(axis=1, keepdims=True)
        aligned[finite] = (
            fit(source - source.mean(axis=1, keepdims=True), target - target_mean) + target_mean
        )
    return aligned


def _fit_rotation(from_mean: np.ndarray, to_mean: np.ndarray) -> np.ndarray:
    left, strengths, right = np.linalg.svd(np.swapaxes(from_mean, 1, 2) @ to_mean)
    signs = np.ones_like(strengths)
    signs[:, 2] = np.where(np.linalg.det(left @ right) < 0, -1.0, 1.0)
    rotation = (left * signs[:, None]) @ right  # acts on row vectors
    spread = np.square(from_mean).sum(axis=(1, 2))
    strength = (strengths * signs).sum(axis=1)
    scale = np.divide(strength, spread, out=np.zeros_like(spread), where=spread > 0)
    return scale[:, None, None] * (from_mean @ rotation)


def _fit_reflection(from_mean: np.ndarray, to_mean: np.ndarray) -> np.ndarray:
    from_norm = np.sqrt(np.square(from_mean).sum(axis=(1, 2), keepdims=True)) + 1e-8
    to_norm = np.sqrt(np.square(to_mean).sum(axis=(1, 2), keepdims=True)) + 1e-8
    from_unit, to_unit = from_mean / from_norm, to_mean / to_norm
    left, strengths, right = np.linalg.svd(np.swapaxes(from_unit, 1, 2) @ to_unit)
    scale = strengths.sum(axis=1)[:, None, None]
    return scale * to_norm * (from_unit @ (left @ right))
