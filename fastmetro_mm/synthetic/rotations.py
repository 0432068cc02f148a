# SPDX-License-Identifier: Apache-2.0
"""Rotation matrices and vectors for the drawing processes, in NumPy and float64."""

import numpy as np
from scipy.spatial.transform import Rotation


def rotate_about(axes: np.ndarray, angles: np.ndarray | float) -> np.ndarray:
    """Rotation matrices about given axes (Rodrigues' formula).

    Args:
        axes: (..., 3) unit vectors.
        angles: (...) radians.

    Returns:
        (..., 3, 3) float64.
    """
    axes = np.asarray(axes, dtype=np.float64)
    angles = np.asarray(angles, dtype=np.float64)
    cross = np.zeros((*axes.shape, 3))
    cross[..., 0, 1], cross[..., 0, 2] = -axes[..., 2], axes[..., 1]
    cross[..., 1, 2] = -axes[..., 0]
    cross -= np.swapaxes(cross, -1, -2)
    sine, cosine = np.sin(angles)[..., None, None], np.cos(angles)[..., None, None]
    return np.eye(3) + sine * cross + (1.0 - cosine) * (cross @ cross)


def vectors_to_matrices(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) axis-angle vectors, radians, to (..., 3, 3) matrices."""
    vectors = np.asarray(vectors, dtype=np.float64)
    matrices = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return matrices.reshape(*vectors.shape, 3)


def matrices_to_vectors(matrices: np.ndarray) -> np.ndarray:
    """(..., 3, 3) matrices to (..., 3) axis-angle vectors of length at most pi."""
    matrices = np.asarray(matrices, dtype=np.float64)
    vectors = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec()
    return vectors.reshape(matrices.shape[:-1])
