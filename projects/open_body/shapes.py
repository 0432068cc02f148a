# SPDX-License-Identifier: Apache-2.0
"""Ten shape directions from many people in one pose."""

import numpy as np


def principal_shapes(people: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and scaled principal directions.

    Args:
        people: (S, V, 3), all in the same pose and the same vertex order.
        count: number of directions.

    Returns:
        mean (V, 3), directions (V, 3, count) of one standard deviation each (betas ~ N(0, 1)
        span the people; a positive beta makes the body taller), share (count,) of the variance.
    """
    mean = people.mean(axis=0)
    flat = (people - mean).reshape(len(people), -1)
    # The Gram matrix is S x S, far smaller than the 3V x 3V covariance with the same spectrum.
    values, vectors = np.linalg.eigh(flat @ flat.T / (len(people) - 1))
    top = np.argsort(values)[::-1][:count]
    directions = (flat.T @ vectors[:, top] / np.sqrt(len(people) - 1)).reshape(*mean.shape, count)
    height = directions[mean[:, 1].argmax(), 1] - directions[mean[:, 1].argmin(), 1]
    return mean, directions * np.where(height < 0, -1.0, 1.0), values[top] / values.sum()


def project(people: np.ndarray, mean: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Betas (S, count) of people; the directions are orthogonal."""
    flat = directions.reshape(-1, directions.shape[2])
    return (people - mean).reshape(len(people), -1) @ flat / (flat**2).sum(axis=0)


def linear_response(values: np.ndarray, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares ``values ~ base + response @ beta``: (S, J, 3) -> (J, 3), (J, 3, count)."""
    design = np.concatenate([np.ones((len(betas), 1)), betas], axis=1)
    solved = np.linalg.lstsq(design, values.reshape(len(values), -1), rcond=None)[0]
    solved = solved.reshape(-1, *values.shape[1:])
    return solved[0], np.moveaxis(solved[1:], 0, -1)
