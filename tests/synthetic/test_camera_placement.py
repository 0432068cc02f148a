# SPDX-License-Identifier: Apache-2.0
"""Where people and hands end up in the image, and how they are turned."""

import numpy as np
import pytest

from fastmetro_mm.synthetic.camera_placement import PlacedCamera, place_camera, sample_view

SIZE = (200, 160)


def visible_shares(studio, truncated: bool) -> tuple[np.ndarray, np.ndarray]:
    """Share of each box inside the image, and longer side of each box, for 80 samples."""
    rngs = [np.random.default_rng([9, seed]) for seed in range(80)]
    plans = [studio.plan(rng) for rng in rngs]
    posed = studio.figure.pose(
        np.stack([plan.pose for plan in plans]), np.stack([plan.betas for plan in plans])
    )
    shares, sides = [], []
    for rng, figure in zip(rngs, posed, strict=True):
        camera = place_camera(rng, figure.vertices, SIZE, truncated)
        pixels = camera.project(figure.vertices)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        seen = np.clip(np.minimum(high, SIZE) - np.maximum(low, 0), 0, None)
        shares.append(seen.prod() / (high - low).prod())
        sides.append((high - low).max())
        assert (figure.vertices[:, 2] + camera.translation[2]).min() > 0.02
    return np.array(shares), np.array(sides)


@pytest.mark.parametrize('kind', ['body', 'hand'])
def test_box_lies_in_the_image_unless_truncated(kind, request):
    studio = request.getfixturevalue(f'{kind}_studio')
    shares, sides = visible_shares(studio, truncated=False)
    assert shares.min() > 0.9
    # The size is reached by going round a few times; strong perspective leaves some error.
    assert np.median(sides) > 0.62 * min(SIZE)
    assert sides.min() > 0.35 * min(SIZE) and sides.max() < 1.05 * min(SIZE)
    shares, _ = visible_shares(studio, truncated=True)
    assert shares.min() > 0.35 and np.median(shares) < 0.85


def test_projection_of_a_known_point():
    camera = PlacedCamera(100.0, np.array([50.0, 40.0]), np.array([0.0, 0.0, 2.0]))
    np.testing.assert_allclose(camera.project(np.array([[0.5, -0.25, 0.5]])), [[70.0, 30.0]])


def test_views_are_mostly_upright_and_mostly_frontal():
    views = np.stack([sample_view(np.random.default_rng(seed)) for seed in range(1500)])
    np.testing.assert_allclose(np.linalg.det(views), 1.0)
    up, front = -views[:, 1, 1], -views[:, 2, 2]
    assert np.median(up) > 0.97 and (up > 0.5).mean() > 0.97
    assert 0.55 < (front > 0.3).mean() < 0.80
    assert (front < -0.5).mean() > 0.1  # from behind, too
