# SPDX-License-Identifier: Apache-2.0
"""Ridge regression from the maps, and how sure its errors are.

A closed form has no seeds, rates or epochs: the same people give the same answer. The two maps
weigh the same. What is uncertain is which people were drawn and who was filmed; a bootstrap over
both says how much.
"""

import numpy as np
from scipy import linalg

from fastmetro_mm.body.joint_sets import J14, index_map
from fastmetro_mm.evaluation.functional import pa_mpjpe
from projects.free_model.ablation.evidence import People

SHOULDERS = list(index_map(('R_Shoulder', 'L_Shoulder'), J14))
HIPS = list(index_map(('R_Hip', 'L_Hip'), J14))
CLOSE = 0.2
BESIDE = 70
"""Columns before those of what is beyond the key points."""


class Kernel:
    """Inner products of people's maps; each map has mean 0 and trace N over the training people.

    Args:
        train: The training people.
    """

    def __init__(self, train: People) -> None:
        self._maps, self._means, self._sizes = [], [], []
        for values in _maps(train):
            mean = values.mean(0)
            values -= mean
            self._maps.append(values)
            self._means.append(mean)
            self._sizes.append(float(np.einsum('ij,ij->', values, values)) / len(values))

    def train(self) -> np.ndarray:
        """Between training people, (N, N) float64."""
        return self._sum(self._maps)

    def to(self, people: People) -> np.ndarray:
        """Between other people and training people, (M, N) float64."""
        return self._sum([m - mean for m, mean in zip(_maps(people), self._means, strict=True)])

    def _sum(self, maps: list[np.ndarray]) -> np.ndarray:
        parts = zip(maps, self._maps, self._sizes, strict=True)
        return sum((a @ b.T).astype(np.float64) / size for a, b, size in parts)


def _maps(people: People) -> list[np.ndarray]:
    return [x.reshape(len(x), -1).astype(np.float32) for x in (people.deep, people.heat)]


def solve(
    kernel: np.ndarray, targets: np.ndarray, ridge: float, counts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of kernel ridge regression.

    Args:
        kernel: (N, N)
        targets: (N, T)
        ridge: Added to the diagonal.
        counts: How often each person counts, 0 for not at all; once each if None. (N,)

    Returns:
        Weights (N, T), and the constant (T,).
    """
    counts = np.ones(len(kernel)) if counts is None else counts
    used = np.flatnonzero(counts)
    constant = np.average(targets[used], axis=0, weights=counts[used])
    system = kernel[np.ix_(used, used)]
    system[np.diag_indices_from(system)] += ridge / counts[used]
    weights = np.zeros_like(targets)
    factor = linalg.cho_factor(system, overwrite_a=True, check_finite=False)
    weights[used] = linalg.cho_solve(factor, targets[used] - constant, check_finite=False)
    return weights, constant


def targets(people: People, lifted: np.ndarray) -> np.ndarray:
    """What is regressed: joints, places on the crop, and joints beyond what key points give.

    Args:
        people: Training people.
        lifted: Joints by key points alone. (N, 14, 3)

    Returns:
        Columns 0 to 42, 42 to 70, 70 to 112. (N, 112)
    """
    joints = _centred(people.joints)
    parts = (joints, people.places, joints - _centred(lifted))
    return np.concatenate([p.reshape(len(people), -1) for p in parts], 1).astype(float)


def errors(answer: np.ndarray, people: People, lifted: np.ndarray) -> dict[str, np.ndarray]:
    """Errors of every person, in the columns of the table.

    Args:
        answer: Regressed values. (N, 112)
        people: The people.
        lifted: Joints by key points alone. (N, 14, 3)

    Returns:
        ``map`` and ``beside``: PA-MPJPE in mm by the maps alone, and beside the key points;
        ``close``: per cent of the crop's joints within 0.2 torso lengths, NaN where nobody knows
    """
    joints = answer[:, :42].reshape(-1, 14, 3)
    beside = _centred(lifted) + answer[:, BESIDE:].reshape(-1, 14, 3)
    places = answer[:, 42:BESIDE].reshape(-1, 14, 2)
    torso = people.places[:, SHOULDERS].mean(1) - people.places[:, HIPS].mean(1)
    length = np.linalg.norm(torso, axis=-1)[:, None]
    off = np.linalg.norm(places - people.places, axis=-1)
    known = np.isfinite(off) & np.isfinite(length) & (np.abs(people.places) < 1).all(-1)
    count = known.sum(1)
    close = (known & (np.nan_to_num(off) < CLOSE * np.nan_to_num(length))).sum(1)
    return {
        'map': aligned_errors(joints, people.joints),
        'beside': aligned_errors(beside, people.joints),
        'close': np.where(count > 0, 100.0 * close / np.maximum(count, 1), np.nan),
    }


def aligned_errors(joints: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """PA-MPJPE in mm of every person (N,), over the joints that are known."""
    found = np.zeros(len(truth))
    known = np.isfinite(truth).all(-1)
    for pattern in np.unique(known, axis=0):
        rows = (known == pattern).all(1)
        found[rows] = 1000 * pa_mpjpe(joints[rows][:, pattern], truth[rows][:, pattern])
    return found


def _centred(joints: np.ndarray) -> np.ndarray:
    return joints - joints.mean(1, keepdims=True)
