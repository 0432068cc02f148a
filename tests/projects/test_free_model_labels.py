# SPDX-License-Identifier: Apache-2.0
"""``projects/free_model/lifting/labels``: the aligned distance that training lowers."""

import torch

from fastmetro_mm.evaluation.functional import pa_mpjpe
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from projects.free_model.lifting.labels import aligned_distance


def joints(seed: int) -> torch.Tensor:
    return torch.randn(6, 14, 3, generator=torch.Generator().manual_seed(seed))


def test_it_is_the_metric():
    pred, true = joints(0), joints(1)
    expected = torch.from_numpy(pa_mpjpe(pred.numpy(), true.numpy())).float()
    torch.testing.assert_close(aligned_distance(pred, true), expected)
    turn = axis_angle_to_rotmat(torch.tensor([[0.3, -1.2, 2.0]]))
    moved = 0.4 * true @ turn.mT + torch.tensor([5.0, -3.0, 2.0])
    assert aligned_distance(moved, true).max() < 1e-5
    mirrored = true * torch.tensor([-1.0, 1.0, 1.0])
    assert aligned_distance(mirrored, true).min() > 0.1  # a reflection is no similarity here


def test_its_gradient_lowers_it():
    pred, true = joints(2).requires_grad_(), joints(3)
    before = aligned_distance(pred, true).mean()
    before.backward()
    with torch.no_grad():
        after = aligned_distance(pred - 0.5 * pred.grad, true).mean()
    assert torch.isfinite(pred.grad).all() and after < before
