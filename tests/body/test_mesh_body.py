# SPDX-License-Identifier: Apache-2.0
"""One object for the body of a network: joints, root, centring, posing."""

import numpy as np
import pytest
import torch

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.body.mesh_body import HandBody, MeshBody, build_body
from fastmetro_mm.errors import ConfigError, MissingBodyFileError


def mesh(count, seed=0):
    return torch.randn(2, count, 3, generator=torch.Generator().manual_seed(seed))


def test_a_body_is_centred_on_the_regressed_pelvis():
    body = build_body(dict(name='open_body'))
    assert type(body) is MeshBody and not body.is_hand and build_body(body) is body
    vertices = mesh(6890)
    regressed = load_body_assets('open_body').J_regressor_h36m @ vertices.numpy()
    centred, joints = body.centre(vertices)
    np.testing.assert_allclose(centred, vertices.numpy() - regressed[:, :1], atol=1e-5)
    order = [3, 2, 1, 4, 5, 6, 16, 15, 14, 11, 12, 13, 8, 10]  # the official H36M_J17_TO_J14
    np.testing.assert_allclose(joints, (regressed - regressed[:, :1])[:, order], atol=1e-5)
    np.testing.assert_allclose(body.joints(vertices), regressed[:, order], atol=1e-5)
    assert body.score_origin(vertices).dtype == torch.float64
    np.testing.assert_allclose(body.score_origin(vertices), regressed[:, :1], atol=1e-6)
    assert body.centre(vertices.half())[0].dtype == torch.float32


def test_the_joints_of_a_sample_do_not_depend_on_its_batch():
    body = build_body('open_body')
    vertices = torch.randn(33, 6890, 3)
    together = body.score_origin(vertices)
    alone = torch.cat([body.score_origin(one[None]) for one in vertices])
    assert torch.equal(together, alone)


def test_a_hand_is_centred_on_its_wrist():
    hand = build_body('open_hand')
    assert type(hand) is HandBody and hand.is_hand and len(hand.joint_names) == 21
    posed = hand.pose(torch.full((2, 48), 0.1), torch.zeros(2, 10))
    kinematic = hand.model(torch.full((2, 48), 0.1), torch.zeros(2, 10))
    assert torch.equal(posed.joints[:, 0], kinematic.joints[:, 0])
    assert torch.equal(posed.joints[:, 1], kinematic.joints[:, 13])  # thumb: 13 in MANO's order
    assert torch.equal(posed.joints[:, 4], posed.vertices[:, hand.fingertips[0]])
    vertices, joints = hand.centre(posed.vertices, posed.joints)
    assert torch.equal(vertices, posed.vertices - kinematic.joints[:, :1])
    assert torch.equal(joints, posed.joints - kinematic.joints[:, :1])
    wrist = load_model_arrays('open_hand')['J_regressor'][:1] @ posed.vertices.numpy()
    np.testing.assert_allclose(
        hand.centre(posed.vertices)[0], posed.vertices.numpy() - wrist, atol=1e-5
    )
    assert not hand.score_origin(posed.vertices).any()
    assert torch.equal(
        hand.score_origin(posed.vertices, posed.joints)[:, 0], kinematic.joints[:, 0].double()
    )


def test_tokens_are_centred_on_hips_or_wrist():
    body, hand = build_body('open_body'), build_body('open_hand')
    joints = mesh(14)
    hips = joints[:, 2:4].mean(1, keepdim=True)
    torch.testing.assert_close(body.centre_tokens(joints), joints - hips)
    fingers, vertices = mesh(21), mesh(778)
    moved, centred = hand.centre_with_tokens(vertices, fingers)
    assert torch.equal(centred, fingers - fingers[:, :1])
    assert torch.equal(moved, vertices - fingers[:, :1])


def test_facts_of_the_joint_set():
    body, hand = build_body('open_body'), build_body('open_hand')
    assert body.flip_pairs == ((3, 2), (4, 1), (5, 0), (9, 8), (10, 7), (11, 6))
    assert hand.flip_pairs == ()
    assert (len(body.metainfo['keypoint_info']), len(hand.metainfo['keypoint_info'])) == (14, 21)
    assert (len(body.label_names), len(hand.label_names)) == (24, 21)
    again = build_body(body.config)
    assert (again.name, again.gender) == ('open_body', 'neutral')
    assert again.num_vertices == (6890, 1723, 431)
    assert not body.state_dict() and not hand.state_dict()


def test_a_missing_model_file_is_named_when_it_is_needed(shared_dir, monkeypatch):
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(shared_dir / 'data' / 'metro'))
    body, hand = build_body('smpl'), build_body('mano')
    assert body.model is None and 'SMPL_NEUTRAL' in body.missing
    assert body.joints(mesh(6890)).shape == (2, 14, 3)  # regressed without the model file
    with pytest.raises(MissingBodyFileError, match='SMPL_NEUTRAL'):
        body.pose(torch.zeros(1, 72), torch.zeros(1, 10))
    with pytest.raises(MissingBodyFileError, match='SMPL_NEUTRAL'):
        body.require_model()
    with pytest.raises(MissingBodyFileError, match='MANO_RIGHT'):
        hand.joints(mesh(778))
    assert hand.centre_with_tokens(mesh(778), mesh(21))[0].shape == (2, 778, 3)


@pytest.mark.parametrize('wrong, message', [
    (dict(name='smpl', root='x'), r"unknown keys \['root'\]"), (3, 'expected a name'),
    ('horse', "unknown body 'horse'"),
])  # fmt: skip
def test_misuse_is_one_clear_error(wrong, message):
    with pytest.raises(ConfigError, match=message):
        build_body(wrong)
