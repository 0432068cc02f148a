# SPDX-License-Identifier: Apache-2.0
"""A body of eight vertices, small enough for gradient checks."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse


def one_hot(rows: list[int], width: int) -> sparse.csr_matrix:
    """Sampling matrix that picks vertices."""
    return sparse.csr_matrix(
        (np.ones(len(rows)), (range(len(rows)), rows)), shape=(len(rows), width)
    )


@pytest.fixture
def tiny_body() -> SimpleNamespace:
    """Stand-in for ``BodyAssets`` with levels of 8, 6 and 4 vertices."""
    regressor = np.random.default_rng(3).random((17, 8))
    return SimpleNamespace(
        name='tiny',
        joint_set='j14',
        num_vertices=(8, 6, 4),
        up=[sparse.csr_matrix(np.eye(8, 6)), sparse.csr_matrix(np.eye(6, 4))],
        down=[one_hot([0, 2, 3, 5, 6, 7], 8), one_hot([0, 1, 3, 5], 6)],
        J_regressor_h36m=regressor / regressor.sum(1, keepdims=True),
        loss_edges=np.array([[0, 1], [1, 2], [3, 4], [4, 5], [0, 5]]),
        loss_faces=np.array([[0, 1, 2], [2, 3, 4], [3, 4, 5]]),
    )


@pytest.fixture
def tiny_hand() -> SimpleNamespace:
    """Stand-in for ``BodyAssets`` of a hand with levels of 8 and 5 vertices."""
    return SimpleNamespace(
        name='tiny_hand',
        joint_set='hand21',
        num_vertices=(8, 5),
        up=[sparse.csr_matrix(np.eye(8, 5))],
        down=[one_hot([1, 2, 4, 6, 7], 8)],
        loss_faces=np.array([[0, 1, 2], [2, 3, 4], [5, 6, 7]]),
    )
