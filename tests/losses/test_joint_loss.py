# SPDX-License-Identifier: Apache-2.0
"""Joint and vertex terms on numbers computed by hand."""

import pytest
import torch

from fastmetro_mm.models.losses import MeshJoint2DLoss, MeshJoint3DLoss, MeshVertexLoss


def test_3d_mean_runs_over_unconfident_joints_too():
    pred = torch.zeros(2, 4, 3)
    target = torch.zeros(2, 4, 4)
    target[0, 0] = torch.tensor([3.0, 0, 0, 1])
    target[0, 1] = torch.tensor([9.0, 9, 9, 0])
    loss = MeshJoint3DLoss(root=(2, 3))
    # |3| over 4 joints x 3 coordinates of the one labelled sample
    assert loss(pred, target, torch.tensor([1.0, 0.0])).item() == pytest.approx(3 / 12)
    assert loss(pred, target, torch.tensor([1.0, 1.0])).item() == pytest.approx(3 / 24)
    assert loss(pred, target, torch.tensor([True, False])).item() == pytest.approx(3 / 12)
    assert loss(pred, target, torch.zeros(2)).item() == 0


def test_3d_root_is_the_mean_of_its_joints():
    pred = torch.zeros(1, 4, 3)
    pred[0, 2, 0], pred[0, 3, 0] = 1.0, 3.0
    target = torch.cat([torch.zeros(1, 4, 3), torch.ones(1, 4, 1)], -1)
    # root at x = 2: offsets -2, -2, -1, 1 against zeros
    assert MeshJoint3DLoss(root=(2, 3))(pred, target, torch.ones(1)).item() == pytest.approx(0.5)
    assert MeshJoint3DLoss(root=(0,))(pred, target, torch.ones(1)).item() == pytest.approx(4 / 12)


def test_2d_mean_runs_over_the_whole_batch():
    pred = torch.zeros(2, 3, 2)
    target = torch.zeros(2, 3, 3)
    target[0, 1] = torch.tensor([0.6, -0.6, 1.0])
    target[1, 1] = torch.tensor([5.0, 5.0, 0.0])
    assert MeshJoint2DLoss()(pred, target).item() == pytest.approx(1.2 / 12)


def test_vertices():
    pred, target = torch.zeros(3, 2, 3), torch.ones(3, 2, 3)
    target[1] = 5.0
    loss = MeshVertexLoss()
    assert loss(pred, target, torch.tensor([1.0, 0, 0])).item() == pytest.approx(1.0)
    assert loss(pred, target, torch.tensor([1.0, 1, 0])).item() == pytest.approx(3.0)
    with pytest.raises(ValueError, match='must have the same shape'):
        loss(pred, target[:, :1], torch.ones(3))
