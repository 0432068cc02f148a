# SPDX-License-Identifier: Apache-2.0
"""What short trainings begin with: meshes that are whole before the first step."""

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from fastmetro_mm.body.mesh_body import build_body
from fastmetro_mm.errors import CheckpointError
from fastmetro_mm.structures import TokenFeatures
from tests.models.test_estimator import config


def neck(**options):
    torch.manual_seed(0)
    return MODELS.build({**config()['neck'], 'body': dict(name='open_body'), **options})


def test_neighbouring_vertex_tokens_start_alike_and_those_apart_do_not():
    plain, informed = neck(embed_dims=(256, 16)), neck(embed_dims=(256, 16), informed_start=True)
    adjacency = build_body('open_body').assets.adjacency[-1].toarray().astype(bool)
    for module, nearby in ((plain, 0.0), (informed, 0.96)):
        tokens = module.vertex_token_embed.weight.detach()
        cosines = torch.nn.functional.normalize(tokens) @ torch.nn.functional.normalize(tokens).T
        apart = cosines[torch.from_numpy(~adjacency)].numpy()
        assert cosines[torch.from_numpy(adjacency)].mean().item() == pytest.approx(nearby, abs=0.03)
        assert abs(np.median(apart)) < 0.2
        # of the size that official tokens start with
        assert tokens.std().item() == pytest.approx(1.0, abs=0.02)
    # nothing else starts differently, and the names are the same
    pairs = zip(plain.state_dict().items(), informed.state_dict().items(), strict=True)
    for (name, one), (other, two) in pairs:
        assert name == other
        assert torch.equal(one, two) == (name != 'vertex_token_embed.weight')


@pytest.mark.parametrize('name, joints', [('open_body', 14), ('open_hand', 21)])
def test_without_evidence_the_head_predicts_the_rest_pose(name, joints):
    body = build_body(name)
    cfg = dict(
        type='FastMETROHead', body=body, in_channels=16, informed_start=True, from_rest_pose=True
    )
    head = MODELS.build(cfg)
    torch.nn.init.zeros_(head.xyz_regressor.weight)
    torch.nn.init.zeros_(head.xyz_regressor.bias)
    tokens = TokenFeatures(
        cam_token=torch.zeros(1, 16),
        joints=torch.zeros(1, joints, 16),
        vertices=torch.zeros(1, body.num_vertices[-1], 16),
    )
    with torch.no_grad():
        vertices, _ = head.centre(head(tokens))
    truth = body.rest_pose(0)
    assert (vertices[0] - truth).norm(dim=-1).mean() < 0.005
    assert 'rest_pose' in head.state_dict()
    assert 'rest_pose' not in MODELS.build({**cfg, 'from_rest_pose': False}).state_dict()


def test_the_rest_pose_of_a_body_stands_upright_before_the_camera():
    body = build_body('open_body')
    fine, coarse = body.rest_pose(0), body.rest_pose(2)
    joints = dict(zip(body.joint_names, body.joints(fine[None])[0].tolist(), strict=True))
    assert joints['Head'][1] < -0.4 < 0.6 < joints['L_Ankle'][1]  # y down, root at the origin
    assert joints['L_Wrist'][0] > 0.3 > -0.3 > joints['R_Wrist'][0]  # facing us: left on the right
    assert body.root_and_joints(fine[None])[0].abs().max() < 1e-6
    assert torch.equal(coarse, body.sampling.down(fine[None], 0, 2)[0])
    bare = build_body('open_body', with_model=False)
    assert torch.equal(bare.rest_pose(2), torch.zeros(431, 3))


def test_weights_of_a_head_without_rest_pose_are_refused():
    old = MODELS.build(config())
    cfg = config()
    cfg['head']['from_rest_pose'] = True
    with pytest.raises(CheckpointError, match='rest_pose'):
        MODELS.build(cfg).load_state_dict(old.state_dict())
