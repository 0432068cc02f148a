# SPDX-License-Identifier: Apache-2.0
"""Region pooling on a constant and on a ramp."""

import pytest
import torch

from fastmetro_mm.compat.placeholders import FullMMCVRequiredError
from fastmetro_mm.compat.roi import RoIAlign, RoIPool, roi_align


def test_constant_stays_constant():
    features = torch.full((2, 3, 8, 8), 2.5)
    rois = torch.tensor([[0.0, 1, 1, 6, 5], [1, 2, 2, 7, 7]])
    out = RoIAlign((2, 3))(features, rois)
    assert out.shape == (2, 3, 2, 3)
    assert torch.allclose(out, torch.full_like(out, 2.5))


@pytest.mark.parametrize(('aligned', 'shift'), [(True, -0.5), (False, 0.0)])
def test_ramp_gives_cell_centres(aligned, shift):
    # value = column index; pixel i spans [i, i + 1) when aligned, so position x has value x - .5
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    rois = torch.tensor([[0.0, 4, 4, 12, 12]])
    out = roi_align(ramp, rois, 4, aligned=aligned)
    centres = torch.tensor([5.0, 7, 9, 11]) + shift
    assert torch.allclose(out[0, 0], centres.expand(4, 4))
    half = roi_align(ramp, rois, 4, spatial_scale=0.5, aligned=aligned)
    assert torch.allclose(half[0, 0], (torch.tensor([2.5, 3.5, 4.5, 5.5]) + shift).expand(4, 4))


def test_roi_pool_takes_the_maximum():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    out = RoIPool(2)(ramp, torch.tensor([[0.0, 0, 0, 3, 3]]))
    assert out[0, 0].tolist() == [[1, 3], [1, 3]]


def test_max_mode_needs_full_mmcv():
    with pytest.raises(FullMMCVRequiredError, match='max'):
        roi_align(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2, pool_mode='max')
