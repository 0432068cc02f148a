# SPDX-License-Identifier: Apache-2.0
"""The committed open body: layout, surface, skeleton, weights, shapes, regressors."""

import numpy as np
import pytest

from projects.open_body.mesh_checks import mesh_facts
from projects.open_body.poses import body_pose, skin
from projects.open_body.regressors import EXTRA14, H36M17
from projects.open_body.skeleton import BODY_JOINTS, BODY_PARENTS, mirror_joints

# FastMETRO src/modeling/data/config.py: the 24 + 14 joints that make J24, and J24's names.
JOINTS_IDX = [
    8,
    5,
    29,
    30,
    4,
    7,
    21,
    19,
    17,
    16,
    18,
    20,
    31,
    32,
    33,
    34,
    35,
    36,
    37,
    24,
    26,
    25,
    28,
    27,
]
J24 = (
    'r_ankle r_knee R_Hip L_Hip l_knee l_ankle r_wrist r_elbow r_shoulder l_shoulder l_elbow '
    'l_wrist Neck Top_of_Head Pelvis Thorax Spine Jaw Head Nose L_Eye R_Eye L_Ear R_Ear'
).split()


@pytest.fixture(scope='module')
def joints(open_body):
    return dict(zip(BODY_JOINTS, open_body['J_regressor'] @ open_body['v_template'], strict=True))


@pytest.fixture(scope='module')
def landmarks(open_body, landmark_rows):
    names = [f'h36m {n}' for n in H36M17] + [f'extra {n}' for n in EXTRA14]
    rows = np.concatenate([landmark_rows['J_regressor_h36m'], landmark_rows['J_regressor_extra']])
    return dict(zip(names, rows @ open_body['v_template'], strict=True))


def test_layout_is_smpls(open_body):
    shapes = {k: v.shape for k, v in open_body.items()}
    assert shapes == {
        'v_template': (6890, 3),
        'shapedirs': (6890, 3, 10),
        'posedirs': (6890, 3, 207),
        'J_regressor': (24, 6890),
        'weights': (6890, 24),
        'kintree_table': (2, 24),
        'f': (13776, 3),
        'name': (),
        'license': (),
    }
    table = open_body['kintree_table']
    assert table[0, 0] == 2**32 - 1
    np.testing.assert_array_equal(table[0, 1:], BODY_PARENTS[1:])
    np.testing.assert_array_equal(table[1], np.arange(24))
    assert not open_body['posedirs'].any()
    assert 'CC0' in str(open_body['license'])


def test_surface_is_closed_and_faces_point_outwards(open_body):
    vertices, faces = open_body['v_template'], open_body['f'].astype(np.int64)
    facts = mesh_facts(faces, 6890)
    assert facts.closed and facts.oriented
    assert (facts.components, facts.euler) == (1, 2)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    litres = np.einsum('fd,fd->f', a, np.cross(b, c)).sum() / 6 * 1000
    assert 50 < litres < 80
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).min() > 5e-7  # no slivers


def test_height_and_axes(open_body, joints):
    low, high = open_body['v_template'].min(axis=0), open_body['v_template'].max(axis=0)
    assert 1.6 < high[1] - low[1] < 1.8
    assert np.abs(joints['pelvis']).max() < 0.005
    assert joints['l_foot'][2] > joints['l_ankle'][2] + 0.08  # toes forward: faces +z


def test_joint_order_is_anatomical(joints):
    for name in ('hip', 'knee', 'ankle', 'foot', 'collar', 'shoulder', 'elbow', 'wrist', 'hand'):
        assert joints[f'l_{name}'][0] > 0 > joints[f'r_{name}'][0]
    spine = [joints[n][1] for n in ('pelvis', 'spine1', 'spine2', 'spine3', 'neck', 'head')]
    assert np.all(np.diff(spine) > 0.04)
    leg = [joints[n][1] for n in ('l_foot', 'l_ankle', 'l_knee', 'l_hip')]
    assert np.all(np.diff(leg) > 0.03)
    arm = [joints[n][0] for n in ('l_collar', 'l_shoulder', 'l_elbow', 'l_wrist', 'l_hand')]
    assert np.all(np.diff(arm) > 0.08)


def test_rest_pose_is_a_tpose(joints):
    for side in 'lr':
        arm = np.stack([joints[f'{side}_{n}'] for n in ('shoulder', 'elbow', 'wrist', 'hand')])
        assert np.ptp(arm[:, 1]) < 0.005 and np.ptp(arm[:, 2]) < 0.005
        leg = joints[f'{side}_hip'] - joints[f'{side}_ankle']
        assert np.degrees(np.arctan2(np.linalg.norm(leg[[0, 2]]), leg[1])) < 4.0


def test_weights(open_body):
    weights = open_body['weights']
    assert weights.min() >= 0 and (weights > 0).sum(axis=1).max() <= 4
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    assert (weights.max(axis=0) > 0.45).all()  # every joint leads some vertices


def test_left_right_symmetry(open_body):
    from scipy.spatial import cKDTree

    flip = np.array([-1.0, 1.0, 1.0])
    vertices = open_body['v_template']
    distance, mirror = cKDTree(vertices).query(vertices * flip)
    assert distance.max() < 1e-6
    np.testing.assert_array_equal(mirror[mirror], np.arange(6890))
    np.testing.assert_allclose(
        open_body['weights'][mirror][:, mirror_joints()], open_body['weights'], atol=1e-6
    )
    np.testing.assert_allclose(
        open_body['shapedirs'][mirror] * flip[:, None], open_body['shapedirs'], atol=1e-6
    )
    faces = {tuple(sorted(f)) for f in open_body['f']}
    assert {tuple(sorted(f)) for f in mirror[open_body['f']]} == faces


def test_shape_directions_are_orthogonal_and_ordered(open_body):
    flat = open_body['shapedirs'].reshape(-1, 10)
    gram = flat.T @ flat
    size = np.sqrt(np.diag(gram))
    assert np.abs(gram / np.outer(size, size) - np.eye(10)).max() < 1e-5
    assert np.all(np.diff(size) < 0)
    # One unit of the first beta is a standard deviation of body height: several centimetres.
    heights = [
        np.ptp((open_body['v_template'] + b * open_body['shapedirs'][:, :, 0])[:, 1])
        for b in (-2, 0, 2)
    ]
    assert np.all(np.diff(heights) > 0.12)


def test_regressor_rows_are_convex_and_sparse(open_body, landmark_rows):
    for rows in (open_body['J_regressor'], *landmark_rows.values()):
        assert rows.min() >= 0
        np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-6)
        assert (rows > 0).sum(axis=1).max() <= 40


def test_official_recipe_gives_j24_in_order(landmarks, joints):
    stacked = [joints[n] for n in BODY_JOINTS] + [landmarks[f'extra {n}'] for n in EXTRA14]
    picked = [stacked[i] for i in JOINTS_IDX]
    for name, place in zip(J24, picked, strict=True):
        want = joints[name] if name in joints else landmarks[f'extra {name}']
        np.testing.assert_array_equal(place, want)


@pytest.mark.parametrize('table', ['h36m', 'extra'])
def test_left_landmarks_are_at_positive_x(landmarks, table):
    sided = [n for n in landmarks if n.startswith(f'{table} L_')]
    assert len(sided) == {'h36m': 6, 'extra': 3}[table]
    for name in sided:
        assert landmarks[name][0] > 0.02
        np.testing.assert_allclose(
            landmarks[name] * [-1, 1, 1], landmarks[name.replace(' L_', ' R_')], atol=1e-5
        )


def test_face_and_trunk_landmarks(landmarks, open_body):
    place = {n.split()[1]: p for n, p in landmarks.items() if n.startswith('extra')}
    top = open_body['v_template'][:, 1].max()
    assert abs(place['Top_of_Head'][1] - top) < 0.005
    assert place['Nose'][2] > place['L_Eye'][2] > place['L_Ear'][2] + 0.05
    assert place['L_Ear'][0] > place['L_Eye'][0] > place['Nose'][0] + 0.02
    heights = [
        place[n][1]
        for n in (
            'Pelvis',
            'Spine',
            'Thorax',
            'Neck',
            'Jaw',
            'Nose',
            'L_Eye',
            'Head',
            'Top_of_Head',
        )
    ]
    assert np.all(np.diff(heights) > 0.01)
    middle = [landmarks[f'h36m {n}'] for n in ('Pelvis', 'Torso', 'Neck', 'Nose', 'Head')]
    assert np.abs(np.stack(middle)[:, 0]).max() < 1e-4


def test_regressed_joints_follow_shape_and_pose(open_body):
    betas = np.array([1.0, -1.0, 0.5, 0, 0, 0, 0, 0, 0, 0])
    vertices = open_body['v_template'] + open_body['shapedirs'] @ betas
    joints = open_body['J_regressor'] @ vertices
    pose = body_pose(
        l_knee=(70, 0, 0), r_hip=(-60, 0, 0), l_shoulder=(0, 0, -60), r_elbow=(0, 60, 0)
    )
    posed, moved = skin(vertices, joints, open_body['weights'], pose)
    error = np.linalg.norm(open_body['J_regressor'] @ posed - moved, axis=1)
    assert error.mean() < 0.006 and error.max() < 0.03
    shin = moved[BODY_JOINTS.index('l_ankle')] - moved[BODY_JOINTS.index('l_knee')]
    assert shin[2] < -0.3  # a bent knee brings the foot backwards
