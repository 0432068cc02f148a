# SPDX-License-Identifier: Apache-2.0
"""``projects/free_model/lifting/filmed``: points that views agree on, of cameras that are known."""

from pathlib import Path

import numpy as np
import pytest

from fastmetro_mm.errors import MissingFileError
from projects.free_model.lifting import filmed

PLACES = ((4.0, 0.0, 1.5), (0.0, 4.0, 1.2), (-4.0, 0.3, 1.8), (0.2, -4.0, 1.5))


def looking_at_the_middle(place: tuple[float, float, float]) -> np.ndarray:
    """Rows x right, y up, z back of a camera that looks at (0, 0, 1)."""
    back = np.array(place) - [0, 0, 1]
    back /= np.linalg.norm(back)
    right = np.cross([0, 0, 1], back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back])


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    lens = (
        'focalLengthU="64000" focalLengthV="64640" centerPointU="34560" centerPointV="61440" '
        'radialDistortion1="-0.05" radialDistortion2="0.1" tangentalDistortion1="0.001" '
        'tangentalDistortion2="-0.0005"'
    )
    nodes = []
    for place in PLACES:
        rows = looking_at_the_middle(place)
        turn = ' '.join(f'r{i + 1}{j + 1}="{rows[i, j]:.17g}"' for i in range(3) for j in range(3))
        at = ' '.join(f'{axis}="{1000 * value}"' for axis, value in zip('xyz', place, strict=True))
        nodes.append(f'<camera><transform {turn} {at}/><intrinsic {lens}/></camera>')
    file = tmp_path / 'Calib.qca.txt'
    file.write_text(f'<calibration><cameras>{"".join(nodes)}</cameras></calibration>')
    return file


def people(count: int) -> np.ndarray:
    random = np.random.default_rng(3)
    return random.uniform(-0.5, 0.5, (count, 12, 3)) + np.array([0, 0, 1])


def as_seen(cameras: list[filmed.Camera], points: np.ndarray) -> np.ndarray:
    """Key points (C, 17, 3) of one person, the face unseen."""
    seen = np.zeros((len(cameras), 17, 3))
    for camera, row in zip(cameras, seen, strict=True):
        row[filmed.COCO_LIMBS, :2] = camera.project(points)
        row[filmed.COCO_LIMBS, 2] = 0.9
    return seen


def test_the_middle_is_in_the_middle(calibration):
    for camera, place in zip(filmed.read_cameras(calibration), PLACES, strict=True):
        np.testing.assert_allclose(camera.project(np.array([[0.0, 0.0, 1.0]]))[0], (540, 960))
        higher, left = camera.project(np.array([[0.0, 0, 1.3], np.cross([*place], [0, 0, 0.1])]))
        assert higher[1] < 960 - 50 and left[0] < 540
        np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-9)


def test_views_meet_and_a_wrong_one_is_left_out(calibration):
    cameras, truth = filmed.read_cameras(calibration), people(1)[0]
    seen = as_seen(cameras, truth)
    seen[1, 9, :2] += 200  # one camera errs about one joint
    seen[:2, 12, 2] = 0.1  # two cameras do not see another
    points, agree = filmed.meet(cameras, seen[:, filmed.COCO_LIMBS])
    known = np.arange(12) != 12 - 5
    np.testing.assert_allclose(points[known], truth[known], atol=1e-5)
    assert np.isnan(points[~known]).all() and agree[~known] == 0
    np.testing.assert_allclose(agree[known], np.where(np.arange(12)[known] == 4, 3, 4), atol=1e-3)


def test_who_is_who(calibration):
    cameras, truth = filmed.read_cameras(calibration), people(2)
    seen = np.stack([as_seen(cameras, person) for person in truth], 1)  # (C, 2, 17, 3)
    order = [(0, 1), (1, 0), (1, 0), (0, 1)]
    shuffled = [[seen[c, i] for i in pair] for c, pair in enumerate(order)]
    found = filmed.match(cameras, shuffled)
    assert {some for some, _ in found} == {(0, 1, 1, 0), (1, 0, 0, 1)}
    for some, points in found:
        np.testing.assert_allclose(points, truth[some[0]], atol=1e-5)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(MissingFileError, match='Calib'):
        filmed.read_cameras(tmp_path / 'Calib.qca.txt')
