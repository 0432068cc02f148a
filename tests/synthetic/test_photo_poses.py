# SPDX-License-Identifier: Apache-2.0
"""Poses of the photo scene: the library is sane and free, hands arrive, limbs do not overlap."""

import numpy as np
import pytest

from fastmetro_mm.synthetic.activity_families import ACTIVITIES
from fastmetro_mm.synthetic.anatomy import LIMITS
from fastmetro_mm.synthetic.body_sampling import sample_people
from fastmetro_mm.synthetic.figures import Figure
from fastmetro_mm.synthetic.kinematics import (
    Reach,
    mirror_pose,
    place_joints,
    reach,
    self_penetration,
)
from fastmetro_mm.synthetic.photo_poses import SHARES, sample_photo_pose
from fastmetro_mm.synthetic.pose_library import load_pose_library
from fastmetro_mm.synthetic.rotations import vectors_to_matrices


@pytest.fixture(scope='module')
def rest_joints() -> np.ndarray:
    return Figure('body').rest_joints


def _places(poses: np.ndarray, rest_joints: np.ndarray) -> np.ndarray:
    return place_joints(vectors_to_matrices(poses), rest_joints)[0]


def test_library_is_sane(rest_joints: np.ndarray) -> None:
    """Knees and elbows bend one way only, nothing turns by more than it can."""
    library = load_pose_library()
    poses = library.poses
    assert len(poses) > 1400 and len(library.names) == 23
    assert set(library.source.tolist()) == set(range(23))
    angles = np.linalg.norm(poses, axis=2)
    assert (poses[:, [4, 5], 0] > -0.40).all()  # no knee is overstretched by more than 23 degrees
    assert (poses[:, 18, 1] < 0.1).all() and (poses[:, 19, 1] > -0.1).all()
    highest = {(3, 6, 9): 1.1, (12, 15): 1.35, (4, 5): 2.75, (7, 8): 1.3, (13, 14): 0.8}
    for joints, most in highest.items():
        assert angles[:, joints].max() < most, joints
    places = _places(poses, rest_joints)
    upright = np.array([name.startswith(('01_', 'humanoid3d_walk')) for name in library.names])
    stands = upright[library.source]
    # Feet below, head above: most frames of these motions are on the feet.
    assert np.mean(places[stands, 7, 1] < -0.4) > 0.95
    assert np.mean(places[stands, 15, 1] > 0.3) > 0.9
    assert (places[stands, 1, 0] > places[stands, 2, 0]).all()  # the left hip lies at +x


def test_library_poses_differ(rest_joints: np.ndarray) -> None:
    places = _places(load_pose_library().poses, rest_joints).reshape(-1, 72) / np.sqrt(24)
    for row in range(0, len(places), 97):
        distance = np.linalg.norm(places - places[row], axis=1)
        assert np.delete(distance, row).min() > 0.038


def test_library_names_its_sources() -> None:
    """Licences travel with the numbers."""
    provenance = load_pose_library().provenance
    for words in ('mocap.cs.cmu.edu', 'NSF EIA-0196217', 'BSD-3-Clause', 'MIT', 'pybullet 3.2.7'):
        assert words in provenance


def test_mirror_is_a_reflection(rest_joints: np.ndarray) -> None:
    pose = sample_photo_pose(np.random.default_rng(4), rest_joints)[1]
    swap = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22]
    mirrored = _places(mirror_pose(pose)[None], rest_joints)[0]
    expected = _places(pose[None], rest_joints)[0, swap] * (-1, 1, 1)
    assert mirrored == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize('side', ['l', 'r'])
def test_wrist_reaches_its_goal(side: str, rest_joints: np.ndarray) -> None:
    """The wrist arrives exactly, and the elbow bends by the right angle towards the pole."""
    pose = load_pose_library().poses[300]
    turns = vectors_to_matrices(pose)
    sign = 1.0 if side == 'l' else -1.0
    goal = Reach(side, 9, (sign * 0.10, -0.10, 0.30), (sign, -0.5, 0.0))
    reach(turns, rest_joints, [goal])
    places, world = place_joints(turns, rest_joints)
    wrist = 20 if side == 'l' else 21
    assert places[wrist] == pytest.approx(places[9] + world[9] @ np.array(goal.offset), abs=1e-3)
    elbow = world[9].T @ (places[wrist - 2] - places[9])
    assert elbow[0] * sign > 0.1
    far = Reach(side, -1, (0.0, 0.4, 9.0), (sign, 0.0, 0.0))
    reach(turns, rest_joints, [far])
    places = place_joints(turns, rest_joints)[0]
    way, wanted = places[wrist] - places[wrist - 4], np.array([0.0, 0.4, 9.0]) - places[wrist - 4]
    assert way @ wanted / np.linalg.norm(way) / np.linalg.norm(wanted) > 0.9999
    arm = np.linalg.norm(rest_joints[wrist] - rest_joints[wrist - 4])
    assert np.linalg.norm(way) == pytest.approx(0.985 * arm, rel=1e-3)


def test_penetration_is_measured(rest_joints: np.ndarray) -> None:
    """A T-pose is free; a wrist in the middle of the trunk is as deep as the two are thick."""
    turns = np.tile(np.eye(3), (24, 1, 1))
    assert self_penetration(*place_joints(turns, rest_joints)) == 0.0
    middle = (rest_joints[6] + rest_joints[9]) / 2 - rest_joints[9]
    reach(turns, rest_joints, [Reach('l', 9, middle, (1.0, 0.0, 0.5))])
    assert self_penetration(*place_joints(turns, rest_joints)) == pytest.approx(0.147, abs=0.005)


@pytest.mark.parametrize('name', ACTIVITIES)
def test_every_activity_stays_inside_the_limits(name: str) -> None:
    """Names of angles exist, tilts are rotations, each hand has at most one goal."""
    for seed in range(20):
        activity = ACTIVITIES[name][0](np.random.default_rng(seed))
        assert set(activity.posture) <= set(LIMITS)
        assert activity.tilt @ activity.tilt.T == pytest.approx(np.eye(3), abs=1e-12)
        assert len({goal.side for goal in activity.reaches}) == len(activity.reaches)


def test_people_are_spread_and_whole(rest_joints: np.ndarray) -> None:
    """Sources keep their shares, limbs stay out of one another, seeds give the same people."""
    rng = np.random.default_rng(0)
    names = [sample_photo_pose(rng, rest_joints)[0] for _ in range(600)]
    for kind in ('motion', 'mixture'):
        share = SHARES[f'{kind}s']
        assert abs(names.count(kind) / 600 - share) < 0.06
    assert set(ACTIVITIES) & set(names) and len(set(names)) > 30
    poses, betas = sample_people(np.random.default_rng(1), 300, rest_joints)
    assert poses.shape == (300, 72) and betas.shape == (300, 10)
    again, _ = sample_people(np.random.default_rng(1), 300, rest_joints)
    assert (poses == again).all()
    overlap = self_penetration(
        *place_joints(vectors_to_matrices(poses.reshape(-1, 24, 3)), rest_joints)
    )
    assert np.mean(overlap > 0.02) < 0.03
    # Seen from all around: the body's own forward axis points everywhere.
    forward = vectors_to_matrices(poses.reshape(-1, 24, 3)[:, 0])[:, :, 2]
    assert 0.15 < np.mean(forward[:, 2] > 0.3) < 0.5  # backs
    assert 0.3 < np.mean(forward[:, 2] < -0.3) < 0.75  # fronts


def test_no_people_is_an_empty_answer() -> None:
    poses, betas = sample_people(np.random.default_rng(0), 0)
    assert poses.shape == (0, 72) and betas.shape == (0, 10)
