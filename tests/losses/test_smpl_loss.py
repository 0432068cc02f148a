# SPDX-License-Identifier: Apache-2.0
"""The criterion of the SMPL head."""

import math

import pytest
import torch

from fastmetro_mm.models.losses import SMPLParamLoss


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(5)
    vertices = torch.randn(2, 8, 3, generator=generator)
    return dict(
        pred_rotmat=torch.eye(3).repeat(2, 24, 1, 1),
        pred_betas=torch.zeros(2, 10),
        smpl_vertices=vertices.clone(),
        pred_cam=torch.tensor([[1.0, 0, 0], [1.0, 0, 0]]),
        pose=torch.zeros(2, 72),
        betas=torch.zeros(2, 10),
        gt_vertices=vertices + 1.0,
        joints_3d=torch.zeros(2, 24, 4),
        joints_2d=torch.zeros(2, 24, 3),
        has_3d=torch.ones(2),
        has_smpl=torch.tensor([1.0, 0.0]),
    )


def test_parameters_by_hand(tiny_body, batch):
    batch['pose'][0, 2] = math.pi / 2  # a quarter turn about z changes 4 of 24 x 9 entries by 1
    batch['betas'][0, 0] = 2.0
    batch['pose'][1] = 9.0  # no label
    terms = SMPLParamLoss(body=tiny_body)(**batch)
    assert terms['smpl_rotmat'].item() == pytest.approx(4 / 216, rel=1e-5)
    assert terms['smpl_betas'].item() == pytest.approx(0.4, rel=1e-6)
    assert terms['smpl_v'].item() == pytest.approx(0.0, abs=1e-6)
    assert terms['total'].item() == pytest.approx(1000 * (4 / 216 + 0.04), rel=1e-4)


def test_camera_gets_no_gradient_and_the_mesh_does(tiny_body, batch):
    batch['joints_2d'][..., 2] = 1.0
    batch['joints_3d'][..., 3] = 1.0
    camera = batch['pred_cam'].requires_grad_()
    vertices = batch['smpl_vertices'].requires_grad_()
    terms = SMPLParamLoss(body=tiny_body)(**batch)
    terms['total'].backward()
    assert terms['smpl_j2d'].item() > 0
    assert camera.grad is None
    assert vertices.grad.abs().sum() > 0


def test_nothing_depends_on_values(tiny_body, batch):
    on_meta = {name: value.to('meta') for name, value in batch.items()}
    assert SMPLParamLoss(body=tiny_body).to('meta')(**on_meta)['total'].shape == ()


def test_no_labels(tiny_body, batch):
    batch['has_smpl'] = batch['has_3d'] = torch.zeros(2)
    batch['pose'][:] = float('nan')
    terms = SMPLParamLoss(body=tiny_body)(**batch)
    assert terms['total'].item() == 0


def test_bad_shapes(tiny_body, batch):
    with pytest.raises(ValueError, match=r'pred_rotmat: expected shape \(B, 24, 3, 3\)'):
        SMPLParamLoss(body=tiny_body)(**{**batch, 'pred_rotmat': torch.zeros(2, 24, 6)})
    with pytest.raises(ValueError, match=r'pose: expected shape \(B, 72\)'):
        SMPLParamLoss(body=tiny_body)(**{**batch, 'pose': torch.zeros(2, 69)})
