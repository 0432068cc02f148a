# SPDX-License-Identifier: Apache-2.0
"""The committed open right hand: layout, one open wrist, skeleton, fingertips, mean pose."""

import numpy as np
import pytest

from projects.open_body.hand_poses import HAND_JOINTS, HAND_PARENTS, NAMED_HAND_POSES
from projects.open_body.mesh_checks import mesh_facts
from projects.open_body.poses import skin


@pytest.fixture(scope='module')
def joints(open_hand):
    return dict(zip(HAND_JOINTS, open_hand['J_regressor'] @ open_hand['v_template'], strict=True))


def test_layout_is_manos(open_hand):
    shapes = {k: v.shape for k, v in open_hand.items()}
    assert shapes == {
        'v_template': (778, 3),
        'shapedirs': (778, 3, 10),
        'posedirs': (778, 3, 135),
        'J_regressor': (16, 778),
        'weights': (778, 16),
        'kintree_table': (2, 16),
        'f': (1538, 3),
        'hands_mean': (45,),
        'hands_components': (45, 45),
        'fingertip_ids': (5,),
        'name': (),
        'license': (),
    }
    np.testing.assert_array_equal(open_hand['kintree_table'][0, 1:], HAND_PARENTS[1:])
    components = open_hand['hands_components']
    np.testing.assert_allclose(components @ components.T, np.eye(45), atol=1e-6)


def test_surface_is_open_at_the_wrist_only(open_hand, joints):
    faces = open_hand['f'].astype(np.int64)
    facts = mesh_facts(faces, 778)
    assert facts.manifold and facts.oriented and facts.components == 1
    assert (facts.euler, facts.boundary_loops, facts.boundary_edges) == (1, 1, 16)
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges, counts = np.unique(np.sort(directed, axis=1), axis=0, return_counts=True)
    border = open_hand['v_template'][np.unique(edges[counts == 1])]
    assert (np.linalg.norm(border - joints['wrist'], axis=1) < 0.05).all()
    assert border[:, 0].min() > joints['wrist'][0]


def test_right_hand_lies_flat_along_minus_x(open_hand, joints):
    assert np.abs(joints['wrist']).max() < 0.005
    for finger in ('index', 'middle', 'ring', 'pinky'):
        chain = np.stack([joints[f'{finger}{i}'] for i in (1, 2, 3)])
        assert np.all(np.diff(chain[:, 0]) < -0.008)
        assert np.ptp(chain[:, 1]) < 0.003
    across = [joints[f'{f}1'][2] for f in ('pinky', 'ring', 'middle', 'index')]
    assert np.all(np.diff(across) > 0.01)
    assert joints['thumb3'][2] > joints['index1'][2]


def test_fingertips_end_their_fingers(open_hand, joints):
    tips = open_hand['v_template'][open_hand['fingertip_ids']]
    for finger, tip in zip(('thumb', 'index', 'middle', 'ring', 'pinky'), tips, strict=True):
        last, before = joints[f'{finger}3'], joints[f'{finger}2']
        assert np.dot(tip - last, last - before) > 0
        assert 0.012 < np.linalg.norm(tip - last) < 0.05
        lead = open_hand['weights'][:, HAND_JOINTS.index(f'{finger}3')] > 0.5
        assert lead[open_hand['fingertip_ids']].sum() == 1


def test_weights_and_regressor(open_hand):
    weights, rows = open_hand['weights'], open_hand['J_regressor']
    assert weights.min() >= 0 and (weights > 0).sum(axis=1).max() <= 4
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    assert (weights > 0.5).any(axis=0).all()
    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-6)


def test_shape_directions_are_orthogonal(open_hand):
    flat = open_hand['shapedirs'].reshape(-1, 10)
    gram = flat.T @ flat
    size = np.sqrt(np.diag(gram))
    assert np.abs(gram / np.outer(size, size) - np.eye(10)).max() < 1e-4
    assert np.all(np.diff(size) < 0)


def reach(open_hand, pose):
    """Distance of the four fingertips (thumb left out) from the wrist and their mean height."""
    posed, joints = skin(
        open_hand['v_template'],
        open_hand['J_regressor'] @ open_hand['v_template'],
        open_hand['weights'],
        pose,
        HAND_PARENTS,
    )
    tips = posed[open_hand['fingertip_ids'][1:]] - joints[0]
    return np.linalg.norm(tips, axis=1), tips[:, 1].mean()


def test_mean_pose_curls_gently_towards_the_palm(open_hand):
    flat, flat_height = reach(open_hand, np.zeros((16, 3)))
    mean_pose = np.concatenate([np.zeros(3), open_hand['hands_mean']]).reshape(16, 3)
    mean, mean_height = reach(open_hand, mean_pose)
    fist, _ = reach(open_hand, NAMED_HAND_POSES['fist'])
    assert 0 < np.abs(open_hand['hands_mean']).max() < 0.5
    assert (mean < flat).all() and (mean > 0.85 * flat).all()
    assert mean_height < flat_height - 0.015  # the palm looks down
    assert (fist < 0.62 * flat).all()
