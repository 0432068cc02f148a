# SPDX-License-Identifier: Apache-2.0
"""Joints regressed from vertices, per joint set."""

import numpy as np
import pytest
import torch

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.joint_regression import JointRegressor, joint_regressor_matrix
from fastmetro_mm.body.joint_sets import HAND21, J24, SMPL24


@pytest.fixture
def metro(shared_dir, monkeypatch):
    monkeypatch.delenv('FASTMETRO_BODY_DATA', raising=False)
    return shared_dir / 'data' / 'metro'


def vertices_of(count):
    return torch.randn(2, count, 3, generator=torch.Generator().manual_seed(0))


def test_body_sets_equal_the_official_formulas(metro, model_arrays):
    assets, arrays = load_body_assets('smpl', metro), model_arrays('smpl')
    v = vertices_of(6890)
    h36m = np.load(metro / 'J_regressor_h36m_correct.npy') @ v.numpy()
    extra = np.load(metro / 'J_regressor_extra.npy') @ v.numpy()
    smpl = arrays['J_regressor'] @ v.numpy()
    official_rows = [8, 5, 29, 30, 4, 7, 21, 19, 17, 16, 18, 20, 31, 32, 33, 34, 35, 36, 37, 24,
                     26, 25, 28, 27]  # fmt: skip
    for joint_set, expected in (
        ('h36m17', h36m),
        ('j14', h36m[:, [3, 2, 1, 4, 5, 6, 16, 15, 14, 11, 12, 13, 8, 10]]),
        ('j24', np.concatenate([smpl, extra], axis=1)[:, official_rows]),
    ):
        regressor = JointRegressor(joint_regressor_matrix(assets, joint_set, arrays))
        np.testing.assert_allclose(regressor(v), expected, atol=2e-6)
        assert not regressor.state_dict()
    nose = regressor(v)[:, J24.index('Nose')]
    torch.testing.assert_close(nose, v[:, 332])
    ankle = regressor(v)[0, J24.index('R_Ankle')].numpy()
    np.testing.assert_allclose(ankle, smpl[0, SMPL24.index('R_Ankle')], atol=2e-6)


def test_hand_joints_and_fingertips(metro, model_arrays):
    assets, arrays = load_body_assets('mano', metro), model_arrays('mano')
    v = vertices_of(778)
    joints = JointRegressor(joint_regressor_matrix(assets, 'hand21', arrays))(v)
    kinematic = arrays['J_regressor'] @ v.numpy()
    for finger, vertex in zip(
        ('Thumb', 'Index', 'Middle', 'Ring', 'Pinky'), (745, 317, 445, 556, 673), strict=True
    ):
        assert torch.equal(joints[:, HAND21.index(f'{finger}_4')], v[:, vertex])
    np.testing.assert_allclose(joints[:, HAND21.index('Thumb_1')], kinematic[:, 13], atol=2e-6)
    np.testing.assert_allclose(joints[:, HAND21.index('Pinky_3')], kinematic[:, 9], atol=2e-6)
    own = dict(arrays, fingertip_ids=np.array([1, 2, 3, 4, 5]))
    joints = JointRegressor(joint_regressor_matrix(assets, 'hand21', own))(v)
    assert torch.equal(joints[:, HAND21.index('Middle_4')], v[:, 3])


def test_misuse_is_named(metro, model_arrays):
    body, hand = load_body_assets('smpl', metro), load_body_assets('mano', metro)
    with pytest.raises(ValueError, match='needs the J_regressor of the model file'):
        joint_regressor_matrix(body, 'j24')
    with pytest.raises(ValueError, match="does not fit body 'mano'"):
        joint_regressor_matrix(hand, 'j14')
    with pytest.raises(ValueError, match='unknown joint set'):
        joint_regressor_matrix(body, 'coco')
    with pytest.raises(ValueError, match='the model file has 6890 vertices'):
        joint_regressor_matrix(hand, 'hand21', model_arrays('smpl'))
    with pytest.raises(ValueError, match=r'expected .B, 6890'):
        JointRegressor(joint_regressor_matrix(body, 'j14'))(torch.zeros(1, 431, 3))
