# SPDX-License-Identifier: Apache-2.0
"""Deformable convolutions against ordinary ones."""

import pytest
import torch
import torch.nn.functional as F

from fastmetro_mm.compat import deform_conv


@pytest.fixture
def image():
    return torch.randn(2, 4, 9, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(('stride', 'dilation', 'groups'), [(1, 1, 1), (2, 1, 2), (1, 2, 4)])
def test_zero_offset_is_a_convolution(image, stride, dilation, groups):
    layer = deform_conv.DeformConv2d(4, 8, 3, stride, dilation, dilation, groups, deform_groups=2)
    expected = F.conv2d(image, layer.weight, None, stride, dilation, dilation, groups)
    offset = torch.zeros(2, 2 * 2 * 9, *expected.shape[2:])
    torch.testing.assert_close(layer(image, offset), expected, atol=1e-5, rtol=1e-5)


def test_integer_offset_shifts_the_image(image):
    layer = deform_conv.DeformConv2d(4, 4, 1)
    offset = torch.zeros(2, 2, 9, 8)
    offset[:, 0] = 1  # rows come first
    expected = F.conv2d(F.pad(image[:, :, 1:], (0, 0, 0, 1)), layer.weight)
    torch.testing.assert_close(layer(image, offset), expected, atol=1e-5, rtol=1e-5)


def test_modulation_scales(image):
    layer = deform_conv.ModulatedDeformConv2d(4, 6, 3, padding=1)
    torch.nn.init.constant_(layer.bias, 0.25)
    offset, mask = torch.zeros(2, 18, 9, 8), torch.full((2, 9, 9, 8), 0.5)
    expected = 0.5 * F.conv2d(image, layer.weight, None, padding=1) + 0.25
    torch.testing.assert_close(layer(image, offset, mask), expected, atol=1e-5, rtol=1e-5)


def test_packs_start_as_convolutions(image):
    plain = deform_conv.DeformConv2dPack(4, 6, 3, padding=1)
    torch.testing.assert_close(
        plain(image), F.conv2d(image, plain.weight, padding=1), atol=1e-5, rtol=1e-5
    )
    modulated = deform_conv.ModulatedDeformConv2dPack(4, 6, 3, padding=1)
    torch.testing.assert_close(
        modulated(image), 0.5 * F.conv2d(image, modulated.weight, padding=1), atol=1e-5, rtol=1e-5
    )
    # the names in mmcv's checkpoints
    assert set(modulated.state_dict()) == {
        'weight',
        'bias',
        'conv_offset.weight',
        'conv_offset.bias',
    }


def test_input_smaller_than_kernel():
    layer = deform_conv.DeformConv2d(4, 4, 3, padding=1)
    out = layer(torch.ones(1, 4, 2, 2), torch.zeros(1, 18, 2, 2))
    torch.testing.assert_close(
        out, F.conv2d(torch.ones(1, 4, 2, 2), layer.weight, padding=1), atol=1e-5, rtol=1e-5
    )


def test_wrong_arguments_are_named(image):
    with pytest.raises(ValueError, match='no bias'):
        deform_conv.DeformConv2d(4, 4, 3, bias=True)
    with pytest.raises(ValueError, match='18 offset channels'):
        deform_conv.deform_conv2d(image, torch.zeros(2, 9, 7, 6), torch.zeros(4, 4, 3, 3))
    with pytest.raises(ValueError, match='3 groups'):
        deform_conv.ModulatedDeformConv2d(4, 4, 3, groups=3)
