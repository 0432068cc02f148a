# SPDX-License-Identifier: Apache-2.0
"""Edge and normal terms on shapes whose answers are known."""

import pytest
import torch

from fastmetro_mm.models.losses import EdgeLengthLoss, EdgeSelfLoss, FaceNormalLoss

TRIANGLE = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]])
SIDES = torch.tensor([[0, 1], [0, 2], [1, 2]])
ONE = torch.ones(1)


def test_edge_lengths_of_a_3_4_5_triangle():
    assert EdgeSelfLoss(SIDES)(TRIANGLE, ONE).item() == pytest.approx(4.0)
    assert EdgeLengthLoss(SIDES)(2 * TRIANGLE, TRIANGLE, ONE).item() == pytest.approx(4.0)
    assert EdgeLengthLoss(SIDES)(TRIANGLE + 5, TRIANGLE, ONE).item() == pytest.approx(0.0)


def test_coinciding_ends_keep_the_smoothed_length_and_a_finite_gradient():
    points = torch.zeros(1, 3, 3, requires_grad=True)
    loss = EdgeSelfLoss(SIDES)(points, ONE)
    loss.backward()
    assert loss.item() == pytest.approx(1e-4, rel=1e-5)
    assert torch.equal(points.grad, torch.zeros(1, 3, 3))


def test_normal_is_zero_in_the_plane_and_one_on_the_axis():
    loss = FaceNormalLoss(torch.tensor([[0, 1, 2]]))
    assert loss(TRIANGLE, TRIANGLE, ONE).item() == pytest.approx(0.0)
    upright = torch.tensor([[[0.0, 0, 0], [0, 0, 1], [0, 0, 3]]])
    assert loss(upright, TRIANGLE, ONE).item() == pytest.approx(1.0)
    # sides (0,0,1), (1,0,0) and (1,0,-1): cosines 1, 0 and 1/sqrt(2)
    leaning = torch.tensor([[[0.0, 0, 0], [0, 0, 1], [1, 0, 0]]])
    assert loss(leaning, TRIANGLE, ONE).item() == pytest.approx((1 + 0.5**0.5) / 3)


def test_degenerate_true_face_gives_finite_gradients():
    points = TRIANGLE.clone().requires_grad_()
    loss = FaceNormalLoss(torch.tensor([[0, 1, 2]]))(points, torch.zeros(1, 3, 3), ONE)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(points.grad).all()


def test_bad_tables_and_meshes_are_refused():
    with pytest.raises(ValueError, match=r'edges: expected an index table of shape \(N, 2\)'):
        EdgeLengthLoss(torch.zeros(4, 3))
    with pytest.raises(ValueError, match='must have the same shape'):
        FaceNormalLoss(torch.tensor([[0, 1, 2]]))(TRIANGLE, torch.zeros(1, 4, 3), ONE)
