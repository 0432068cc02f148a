# SPDX-License-Identifier: Apache-2.0
"""The Laplacian term on shapes whose answers are known."""

import pytest
import torch

from fastmetro_mm.models.losses import FastMETROLoss, LaplacianLoss, SmoothMeshLoss
from tests.losses.test_fastmetro_loss import PREDICTIONS, make_batch

ONE = torch.ones(1)
# a cross: vertex 0 in the middle of four others
CROSS = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]])
ARMS = torch.tensor([[0, 1], [0, 2], [0, 3], [0, 4]])


def test_a_spike_costs_its_height_at_the_tip_and_its_share_at_the_neighbours():
    spiked = CROSS.clone()
    spiked[0, 0, 2] = 3.0
    # Laplacian coordinates differ by 3 at the middle and, with one neighbour each, 3 at the arms
    assert LaplacianLoss(ARMS, 5)(spiked, CROSS, ONE).item() == pytest.approx(5 * 3 / 15)
    bent = CROSS.clone()
    bent[0, 1, 2] = 4.0
    # 4 at the tip of the arm, a quarter of it at the middle, which has four neighbours
    assert LaplacianLoss(ARMS, 5)(bent, CROSS, ONE).item() == pytest.approx((4 + 1) / 15)


def test_moving_a_mesh_or_a_part_of_its_own_costs_nothing():
    loss = LaplacianLoss(torch.tensor([[0, 1], [2, 3], [3, 4]]), 6)
    points = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(0))
    moved = points.clone()
    moved[:, :2] += torch.tensor([0.3, -2.0, 1.0])
    moved[:, 2:5] -= 0.7
    moved[:, 5] += 9.0  # no edge, no neighbours to lie to
    assert loss(moved, points, ONE).item() == pytest.approx(0, abs=1e-6)


def test_unlabelled_rows_may_hold_anything_and_none_gives_zero():
    pair = CROSS.repeat(2, 1, 1)
    pair[1] = float('nan')
    pred = CROSS.repeat(2, 1, 1).requires_grad_()
    loss = LaplacianLoss(ARMS, 5)
    value = loss(pred, pair, torch.tensor([1.0, 0.0]))
    value.backward()
    assert value.item() == 0 and torch.isfinite(pred.grad).all()
    assert loss(pred, pair, torch.zeros(2)).item() == 0
    with pytest.raises(ValueError, match='Laplacian coordinates: predicted vertices'):
        loss(CROSS, CROSS[:, :4], ONE)


def test_smooth_criterion_is_the_official_one_and_one_term_more(tiny_body):
    batch = make_batch(21, 4, tiny_body.num_vertices)
    official = FastMETROLoss(body=tiny_body)(**batch)
    smooth = SmoothMeshLoss(body=tiny_body, laplacian_weight=7.0)(**batch)
    total, laplacian = smooth.pop('total'), smooth.pop('laplacian')
    assert laplacian > 0 and 'laplacian' not in official
    assert total.item() == pytest.approx((official.pop('total') + 7 * laplacian).item())
    assert smooth == official


def test_gradients_and_meta_device(tiny_body):
    batch = make_batch(22, 2, tiny_body.num_vertices, torch.float64)
    batch['has_3d'] = batch['has_smpl'] = torch.ones(2)
    criterion = SmoothMeshLoss(body=tiny_body)

    def total(*predictions):
        return criterion(**{**batch, **dict(zip(PREDICTIONS, predictions, strict=True))})['total']

    assert torch.autograd.gradcheck(total, [batch[name] for name in PREDICTIONS], atol=1e-4)
    on_meta = {name: value.detach().to('meta') for name, value in batch.items()}
    assert criterion.to('meta')(**on_meta)['laplacian'].is_meta
