# SPDX-License-Identifier: Apache-2.0
"""Training the estimator on the open body: losses, the frozen stage, labels that are missing."""

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from fastmetro_mm.errors import DataRowError
from tests.models.small_estimator import build, config, crops, sample


def test_term_named_loss_enters_the_logged_loss_once():
    model = build().train()
    criterion = model.head.criterion
    criterion.TERMS = {**criterion.TERMS, 'loss_extra': lambda self, case: torch.tensor(1000.0)}
    criterion.weights = {**criterion.weights, 'loss_extra': 2.0}
    losses = model.loss(crops(), [sample(seed=i) for i in range(len(crops()))])
    total, logged = model.parse_losses(losses)
    assert float(losses['extra']) == 1000 and 'loss_extra' not in losses
    torch.testing.assert_close(total, losses['loss_mesh'])
    torch.testing.assert_close(logged['loss'], losses['loss_mesh'])


def test_loss_reaches_every_parameter_and_falls():
    model = build()
    model.train()
    samples = [sample(seed=0), sample(seed=1)]
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    values = []
    for _ in range(8):
        losses = model(crops(), samples, mode='loss')
        optimiser.zero_grad()
        losses['loss_mesh'].backward()
        values.append(losses['loss_mesh'].item())
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimiser.step()
    assert values[-1] < 0.8 * values[0]
    assert {'j3d_token', 'v_fine', 'edge_gt', 'j2d_mesh'} <= set(losses)
    # only the weighted total counts for the optimiser
    assert [name for name in losses if 'loss' in name] == ['loss_mesh']


def test_smpl_stage_trains_the_head_alone():
    model = build(
        smpl_head=dict(
            type='SMPLRegressorHead', hidden_dim=32, criterion=dict(type='SMPLParamLoss')
        ),
        freeze_mesh=True,
    )
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    losses = model(crops(), [sample(seed=0), sample(seed=1)], mode='loss')
    assert [name for name in losses if 'loss' in name] == ['loss_smpl']
    losses['loss_smpl'].backward()
    optimiser.step()
    after = model.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    assert all(key.startswith('smpl_head.') for key in moved)


def test_smpl_head_gets_no_gradient_into_the_mesh_and_scales_the_other_loss():
    model = build(
        smpl_head=dict(
            type='SMPLRegressorHead', hidden_dim=32, criterion=dict(type='SMPLParamLoss')
        ),
        mesh_loss_weight=1e-8,
    )
    model.train()
    samples = [sample(seed=0), sample(seed=1)]
    losses = model(crops(), samples, mode='loss')
    losses['loss_smpl'].backward()
    assert model.head.xyz_regressor.weight.grad is None
    model.mesh_loss_weight = 1.0
    torch.manual_seed(0)
    full = model(crops(), samples, mode='loss')['loss_mesh']
    torch.manual_seed(0)
    model.mesh_loss_weight = 1e-8
    scaled = model(crops(), samples, mode='loss')['loss_mesh']
    assert scaled.item() == pytest.approx(1e-8 * full.item(), rel=1e-5)


def test_freezing_without_a_head_to_train_is_refused():
    with pytest.raises(ValueError, match='needs an smpl_head'):
        MODELS.build(config(freeze_mesh=True))


def test_hand_trains_and_predicts_wrist_centred():
    model = build(body='open_hand')
    model.train()
    losses = model(crops(), [sample(True, 0), sample(True, 1)], mode='loss')
    losses['loss_mesh'].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.eval()
    with torch.no_grad():
        (result,) = model(crops(1), [sample(True)], mode='predict')
    predicted = result.pred_instances
    assert predicted.vertices.shape == (1, 778, 3)
    assert predicted.keypoints.shape == (1, 21, 2)
    np.testing.assert_allclose(predicted.joints_3d[0, 0], 0, atol=1e-6)


def test_samples_without_labels_are_named_before_anything_is_posed():
    """Of an own data set: the first batch tells what is missing, not an AttributeError."""
    model, bare, partial = build(), sample(), sample()
    del bare.gt_instance_labels
    bare.set_metainfo(dict(img_path='mine/7.jpg'))
    with pytest.raises(DataRowError, match=r'mine/7.jpg has no betas, .*training needs joints_2d'):
        model(crops(), [sample(), bare], mode='loss')
    del partial.gt_instance_labels.pose
    with pytest.raises(DataRowError, match='has no pose: training needs'):
        model.build_targets([partial], torch.device('cpu'))
