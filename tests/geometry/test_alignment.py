# SPDX-License-Identifier: Apache-2.0
"""Both Procrustes alignments on transforms that are known."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from fastmetro_mm.geometry.alignment import similarity_align, similarity_align_reflecting

MIRROR = np.diag([-1.0, 1.0, 1.0])


@pytest.fixture
def clouds():
    generator = np.random.default_rng(0)
    return generator.normal(size=(6, 14, 3)), generator


def similar(points, generator):
    """A different random similarity for every cloud."""
    rotations = Rotation.random(len(points), random_state=3).as_matrix()
    scales = generator.uniform(0.2, 4.0, (len(points), 1, 1))
    return scales * (points @ rotations) + generator.normal(size=(len(points), 1, 3))


@pytest.mark.parametrize('align', [similarity_align, similarity_align_reflecting])
def test_recovers_a_similarity(clouds, align):
    points, generator = clouds
    assert np.abs(align(similar(points, generator), points) - points).max() < 1e-7


def test_only_the_reflecting_one_undoes_a_mirror(clouds):
    points, generator = clouds
    mirrored = similar(points @ MIRROR, generator)
    assert np.abs(similarity_align_reflecting(mirrored, points) - points).max() < 1e-7
    errors = np.linalg.norm(similarity_align(mirrored, points) - points, axis=-1).mean(-1)
    assert errors.min() > 0.3


def test_is_the_least_squares_optimum(clouds):
    points, generator = clouds
    noisy = points + 0.3 * generator.normal(size=points.shape)
    aligned = similarity_align(noisy, points)
    best = np.square(aligned - points).sum((1, 2))
    centred = aligned - aligned.mean(1, keepdims=True)
    for axis in np.eye(3):
        turn = Rotation.from_rotvec(0.01 * axis).as_matrix()
        moved = centred @ turn + aligned.mean(1, keepdims=True)
        assert (np.square(moved - points).sum((1, 2)) > best).all()
    for factor in (0.99, 1.01):
        moved = centred * factor + aligned.mean(1, keepdims=True)
        assert (np.square(moved - points).sum((1, 2)) > best).all()


def test_reflecting_equals_scipy_pair_by_pair(clouds):
    points, generator = clouds
    noisy = similar(points, generator) + 0.3 * generator.normal(size=points.shape)
    aligned = similarity_align_reflecting(noisy, points)
    for one, other, result in zip(noisy, points, aligned, strict=True):
        source, target = one - one.mean(0), other - other.mean(0)
        source_norm, target_norm = np.linalg.norm(source), np.linalg.norm(target)
        rotation, scale = orthogonal_procrustes(target / target_norm, source / source_norm)
        expected = source / source_norm @ rotation.T * scale * target_norm + other.mean(0)
        assert np.abs(result - expected).max() < 1e-6


@pytest.mark.parametrize('align', [similarity_align, similarity_align_reflecting])
def test_degenerate_pairs_do_not_touch_the_others(clouds, align):
    points, generator = clouds
    source = similar(points, generator)
    clean = align(source, points)
    source[1] = 2.5
    source[3, 4, 0] = np.nan
    target = points.copy()
    target[4, 0, 0] = np.inf
    aligned = align(source, target)
    assert np.allclose(aligned[1], points[1].mean(0), atol=1e-7)
    assert np.isnan(aligned[3]).all() and np.isnan(aligned[4]).all()
    assert np.array_equal(aligned[[0, 2, 5]], clean[[0, 2, 5]])


@pytest.mark.parametrize('align', [similarity_align, similarity_align_reflecting])
def test_flat_and_straight_sources_align_without_a_warning(align):
    plane = np.random.default_rng(1).normal(size=(1, 9, 3)) * [1, 1, 0]
    line = np.linspace(0, 1, 9)[None, :, None] * [1.0, 2.0, 3.0]
    turn = Rotation.from_rotvec([0.3, -0.2, 0.9]).as_matrix()
    for points in (plane, line):
        assert np.abs(align(1.7 * points @ turn + 1, points) - points).max() < 1e-7


@pytest.mark.parametrize(
    'source, target',
    [((2, 5, 2), (2, 5, 2)), ((5, 3), (5, 3)), ((2, 5, 3), (2, 6, 3)), ((2, 0, 3), (2, 0, 3))],
)
def test_bad_shapes(source, target):
    for align in (similarity_align, similarity_align_reflecting):
        with pytest.raises(ValueError, match='source'):
            align(np.zeros(source), np.zeros(target))
