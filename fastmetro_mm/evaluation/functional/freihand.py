# SPDX-License-Identifier: Apache-2.0
"""The scores of the official FreiHAND evaluation script."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from fastmetro_mm.evaluation.functional.curves import auc
from fastmetro_mm.geometry.alignment import as_paired_points, similarity_align_reflecting

F_THRESHOLDS_MM = (5, 15)


def f_scores(pred: ArrayLike, gt: ArrayLike) -> np.ndarray:
    """Harmonic mean of the shares of points with a counterpart nearer than 5 and 15 mm.

    The official script calls pred -> gt recall and gt -> pred precision; their harmonic mean does
    not depend on the names. Strictly nearer counts.

    Args:
        pred: (V, 3) metres, one mesh.
        gt: (W, 3) metres, one mesh.

    Returns:
        (2,) scores in [0, 1].
    """
    to_gt = KDTree(gt).query(pred)[0]
    to_pred = KDTree(pred).query(gt)[0]
    scores = []
    for threshold in F_THRESHOLDS_MM:
        first = float((to_gt < threshold / 1000).mean())
        second = float((to_pred < threshold / 1000).mean())
        total = first + second
        scores.append(2.0 * first * second / total if total > 0 else 0.0)
    return np.array(scores)


def _chunks(length: int, size: int = 256) -> Iterator[slice]:
    """Slices that cover ``range(length)``."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def hand_distances(pred: np.ndarray, gt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Point distances, as they are and after the FreiHAND alignment.

    Args:
        pred: (B, N, 3) metres.
        gt: (B, N, 3) metres.

    Returns:
        Two arrays (B, N), metres.
    """
    raw = np.linalg.norm(pred - gt, axis=-1)
    aligned = np.linalg.norm(similarity_align_reflecting(pred, gt) - gt, axis=-1)
    return raw, aligned


def freihand_scores(
    pred_xyz: ArrayLike, pred_verts: ArrayLike, xyz: ArrayLike, verts: ArrayLike
) -> dict[str, float]:
    """Scores of the official FreiHAND evaluation.

    Keypoints and vertices are aligned separately, mirror images allowed. Raw scores compare
    absolute positions, so they mean little for wrist-centred predictions.

    Args:
        pred_xyz: (B, 21, 3) predicted keypoints, metres.
        pred_verts: (B, 778, 3) predicted vertices, metres.
        xyz: (B, 21, 3) true keypoints, metres.
        verts: (B, 778, 3) true vertices, metres.

    Returns:
        ``{xyz,mesh}[_al]_mean3d_cm`` (cm), ``{xyz,mesh}[_al]_auc3d`` (0-5 cm, 100 steps) and
        ``f[_al]_score_{5,15}`` (thresholds in mm); ``_al`` is after alignment.

    Raises:
        ValueError: if shapes do not fit, there are no hands, or a number is not finite.
    """
    pred_xyz, xyz = as_paired_points(pred_xyz, xyz, ('pred_xyz', 'xyz'))
    pred_verts, verts = as_paired_points(pred_verts, verts, ('pred_verts', 'verts'))
    count = len(xyz)
    if count == 0 or len(verts) != count:
        raise ValueError(
            f'expected one mesh for each of the {count} hands (at least one), got {len(verts)}'
        )
    for name, points in (
        ('pred_xyz', pred_xyz),
        ('pred_verts', pred_verts),
        ('xyz', xyz),
        ('verts', verts),
    ):
        bad = np.flatnonzero(~np.isfinite(points).all(axis=(1, 2)))
        if bad.size:
            raise ValueError(
                f'{name}: hand {bad[0]} holds a number that is not finite ({bad.size} hands in all)'
            )
    scores = {}
    for name, pred, gt in (('xyz', pred_xyz, xyz), ('mesh', pred_verts, verts)):
        raw, aligned = hand_distances(pred, gt)
        for tag, distances in ((name, raw), (f'{name}_al', aligned)):
            scores[f'{tag}_mean3d_cm'] = float(distances.mean() * 100.0)
            scores[f'{tag}_auc3d'] = auc(distances)
    for tag, align in (('f', False), ('f_al', True)):
        each = []
        for part in _chunks(count):
            points = pred_verts[part]
            if align:
                points = similarity_align_reflecting(points, verts[part])
            each.extend(map(f_scores, points, verts[part]))
        mean = np.mean(each, axis=0)
        for threshold, score in zip(F_THRESHOLDS_MM, mean, strict=True):
            scores[f'{tag}_score_{threshold}'] = float(score)
    return scores
