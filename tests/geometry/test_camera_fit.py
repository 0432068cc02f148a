# SPDX-License-Identifier: Apache-2.0
"""Cameras fitted to points that a known camera made."""

import numpy as np
import pytest

from fastmetro_mm.geometry.camera_fit import fit_pred_cam, fit_similarity


def test_known_pred_cam_is_recovered():
    points = np.random.default_rng(0).normal(size=(10, 3))
    expected = np.array([0.7, 0.2, -0.1])
    crop_norm = expected[0] * (points[:, :2] + expected[1:])
    assert np.allclose(fit_pred_cam(points, crop_norm), expected)


def test_points_without_weight_do_not_count():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [9, 9, 9]])
    crop_norm = np.array([[0.0, 0], [0.5, 0], [0, 1], [-50, 7]])
    assert np.allclose(fit_pred_cam(points, crop_norm, np.array([1, 1, 1, 0])), [0.5, 0, 0])


@pytest.mark.parametrize(
    ('points', 'weights'),
    [(np.zeros((4, 3)), np.ones(4)), (np.eye(4, 3), np.zeros(4)), (-np.eye(4, 3), np.ones(4))],
)
def test_undetermined_camera_is_none(points, weights):
    assert fit_pred_cam(points, np.eye(4, 2), weights) is None


def test_known_similarity_is_recovered():
    matrix = np.array([[3.0, -4.0, 10.0], [4.0, 3.0, -20.0]])
    source = np.array([[0.0, 0], [1, 0], [2, 0]])  # on a line, and still determined
    assert np.allclose(fit_similarity(source, source @ matrix[:, :2].T + matrix[:, 2]), matrix)


def test_similarity_of_one_place_is_refused():
    with pytest.raises(ValueError, match='the same'):
        fit_similarity(np.ones((3, 2)), np.eye(3, 2))
