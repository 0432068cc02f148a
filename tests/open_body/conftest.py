# SPDX-License-Identifier: Apache-2.0
"""Load the committed files once."""

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

REPOSITORY = Path(__file__).resolve().parents[2]


def load_npz(name: str) -> dict[str, np.ndarray]:
    """Arrays of one committed file, floats widened to float64."""
    path = REPOSITORY / 'fastmetro_mm' / 'body' / 'open_body' / name
    with np.load(path, allow_pickle=False) as data:
        return {k: v.astype(np.float64) if v.dtype.kind == 'f' else v for k, v in data.items()}


@pytest.fixture(scope='session')
def open_body() -> dict[str, np.ndarray]:
    """OPEN_BODY.npz."""
    return load_npz('OPEN_BODY.npz')


@pytest.fixture(scope='session')
def open_hand() -> dict[str, np.ndarray]:
    """OPEN_HAND_RIGHT.npz."""
    return load_npz('OPEN_HAND_RIGHT.npz')


@pytest.fixture(scope='session')
def landmark_rows() -> dict[str, np.ndarray]:
    """open_body_regressors.npz."""
    return load_npz('open_body_regressors.npz')


@pytest.fixture(scope='session')
def sampling_matrix():
    """Function (file, 'A'|'U'|'D', level) -> csr matrix; and 'F' -> faces."""
    cache = {name: load_npz(name) for name in ('open_body_sampling.npz', 'open_hand_sampling.npz')}

    def read(name: str, letter: str, level: int):
        arrays, key = cache[name], f'{letter}{level}'
        if letter == 'F':
            return arrays[key]
        return csr_matrix(
            (arrays[f'{key}_data'], arrays[f'{key}_indices'], arrays[f'{key}_indptr']),
            shape=tuple(arrays[f'{key}_shape']),
        )

    return read
