# SPDX-License-Identifier: Apache-2.0
"""Deformable convolutions with mmcv's arguments and parameter names, on torchvision's kernel.

Parameter names and layouts are mmcv's, so checkpoints go either way. Offsets are ordered
``y0, x0, y1, x1, ...`` over the kernel cells in both libraries.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

Size = int | tuple[int, int]


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deform_groups: int = 1,
    bias: bool = False,
    im2col_step: int = 32,
) -> Tensor:
    """Deformable convolution, version 1 (no modulation).

    Args:
        input (Tensor): (B, C, H, W).
        offset (Tensor): (B, 2 * deform_groups * kH * kW, H_out, W_out) in pixels.
        weight (Tensor): (C_out, C / groups, kH, kW).
        stride: as in an ordinary convolution.
        padding: as in an ordinary convolution.
        dilation: as in an ordinary convolution.
        groups: as in an ordinary convolution.
        deform_groups (int): taken from the shape of ``offset``; here for mmcv's call order.
        bias (bool): must be False, as in mmcv.
        im2col_step (int): only paces mmcv's CUDA kernel; ignored.

    Returns:
        Tensor: (B, C_out, H_out, W_out).

    Raises:
        ValueError: ``bias`` is set, or ``offset`` does not fit ``deform_groups``.
    """
    if bias:
        raise ValueError('deform_conv2d has no bias (nor has mmcv); use ModulatedDeformConv2d')
    expected = 2 * deform_groups * weight.shape[2] * weight.shape[3]
    if offset.shape[1] != expected:
        raise ValueError(
            f'deform_conv2d expects {expected} offset channels '
            f'(2 * deform_groups * kH * kW), got {offset.shape[1]}'
        )
    import torchvision  # here: most who import the operators never run one

    return torchvision.ops.deform_conv2d(
        input, offset, weight, None, _pair(stride), _pair(padding), _pair(dilation)
    )


def modulated_deform_conv2d(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deform_groups: int = 1,
) -> Tensor:
    """Deformable convolution, version 2; ``mask`` is (B, deform_groups * kH * kW, H_out, W_out)."""
    import torchvision  # here: most who import the operators never run one

    return torchvision.ops.deform_conv2d(
        input, offset, weight, bias, _pair(stride), _pair(padding), _pair(dilation), mask
    )


class _DeformConvBase(nn.Module):
    """Attributes and weight common to both versions (the names of ``nn.Conv2d``)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size,
        dilation: Size,
        groups: int,
        deform_groups: int,
    ) -> None:
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f'channels {in_channels} -> {out_channels} cannot be split into {groups} groups'
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride)
        self.padding = _pair(padding)
        self.dilation = _pair(dilation)
        self.groups = groups
        self.deform_groups = deform_groups
        # mmcv sets these so that code written for nn.Conv2d accepts the layer
        self.transposed = False
        self.output_padding = (0,)
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, *self.kernel_size)
        )

    def _make_offset_conv(self, channels_per_cell: int) -> nn.Conv2d:
        """Convolution that predicts the offsets, zero at the start (a plain convolution)."""
        conv = nn.Conv2d(
            self.in_channels,
            self.deform_groups * channels_per_cell * math.prod(self.kernel_size),
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
        nn.init.zeros_(conv.weight)
        assert conv.bias is not None
        nn.init.zeros_(conv.bias)
        return conv


class DeformConv2d(_DeformConvBase):
    """Module form of :func:`deform_conv2d`; ``forward(x, offset)``."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        deform_groups: int = 1,
        bias: bool = False,
        im2col_step: int = 32,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, deform_groups
        )
        if bias:
            raise ValueError('DeformConv2d has no bias (nor has mmcv); use ModulatedDeformConv2d')
        nn.init.kaiming_uniform_(self.weight, nonlinearity='relu')

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """(B, C, H, W) and offsets to (B, C_out, H_out, W_out)."""
        # as mmcv: an input smaller than the kernel is padded, and the output cut back
        pad_h = max(self.kernel_size[0] - x.shape[2], 0)
        pad_w = max(self.kernel_size[1] - x.shape[3], 0)
        out = deform_conv2d(
            F.pad(x, (0, pad_w, 0, pad_h)),
            F.pad(offset, (0, pad_w, 0, pad_h)),
            self.weight,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.deform_groups,
        )
        return out[:, :, : out.shape[2] - pad_h, : out.shape[3] - pad_w]


class DeformConv2dPack(DeformConv2d):
    """Deformable convolution that predicts its own offsets (``type='DCN'``)."""

    _version = 2

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self._make_offset_conv(channels_per_cell=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C_out, H_out, W_out)."""
        return super().forward(x, self.conv_offset(x))


class ModulatedDeformConv2d(_DeformConvBase):
    """Module form of :func:`modulated_deform_conv2d`; ``forward(x, offset, mask)``."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        deform_groups: int = 1,
        bias: bool | str = True,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, deform_groups
        )
        if bias:
            self.bias = nn.Parameter(torch.zeros(out_channels))
        else:
            self.register_parameter('bias', None)
        self.init_weights()

    def init_weights(self) -> None:
        """Uniform weights in +-1/sqrt(fan-in over all channels), zero bias, as mmcv."""
        bound = 1 / math.sqrt(self.in_channels * math.prod(self.kernel_size))
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """(B, C, H, W), offsets and modulation to (B, C_out, H_out, W_out)."""
        return modulated_deform_conv2d(
            x,
            offset,
            mask,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.deform_groups,
        )


class ModulatedDeformConv2dPack(ModulatedDeformConv2d):
    """Modulated deformable convolution that predicts offsets and mask (``type='DCNv2'``)."""

    _version = 2

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self._make_offset_conv(channels_per_cell=3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C_out, H_out, W_out)."""
        first, second, mask = self.conv_offset(x).chunk(3, dim=1)
        return super().forward(x, torch.cat([first, second], dim=1), mask.sigmoid())
