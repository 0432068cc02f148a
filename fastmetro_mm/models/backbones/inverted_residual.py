# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2's block, with batch normalisation folded into its convolutions.

Source: Sandler et al., *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, CVPR 2018.
Convolutions are padded as TensorFlow pads them (SAME): at stride 2 and an even size that is less on
the left and the top than on the right and the bottom, so those convolutions have no padding of
their own and ``pad_same`` goes before them.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastmetro_mm.geometry.precision import full_precision


def convolution(
    channels: int,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    bias: bool = True,
) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1, and wants ``pad_same`` before it at stride 2.

    Args:
        channels: Of the input.
        out_channels: Of the output.
        kernel: Side of the kernel.
        stride: 1 or 2.
        groups: ``channels`` for a depthwise one.
        bias: Whether it has one.

    Returns:
        The layer.
    """
    padding = kernel // 2 if stride == 1 else 0
    return nn.Conv2d(channels, out_channels, kernel, stride, padding, groups=groups, bias=bias)


def pad_same(x: Tensor, kernel: int) -> Tensor:
    """Pad for a convolution of stride 2 as SAME does.

    Args:
        x: (B, C, H, W), H and W even
        kernel: Side of the kernel.

    Returns:
        The padded map.
    """
    before, after = (kernel - 2) // 2, (kernel - 1) // 2
    return F.pad(x, (before, after, before, after))


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, project; added to the input where the shape stays.

    Args:
        channels: Of the input.
        hidden: Of the depthwise convolution; nothing is expanded where it equals ``channels``.
        out_channels: Of the output.
        stride: Of the depthwise convolution.
        kernel: Of the depthwise convolution.
    """

    def __init__(
        self, channels: int, hidden: int, out_channels: int, stride: int, kernel: int = 3
    ) -> None:
        super().__init__()
        self.expand = convolution(channels, hidden) if hidden > channels else None
        self.depthwise: Any = convolution(hidden, hidden, kernel, stride, groups=hidden)
        self.project: Any = convolution(hidden, out_channels)
        self.adds = stride == 1 and channels == out_channels
        self.shrinking_kernel = kernel if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the block.

        Args:
            x: (B, C, H, W)

        Returns:
            (B, C', H', W')
        """
        y = x if self.expand is None else F.relu6(self.expand(x))
        if self.shrinking_kernel is not None:
            y = pad_same(y, self.shrinking_kernel)
        if self.expand is None:
            with full_precision(x):
                y = self.depthwise(y.to(self.depthwise.bias.dtype))
        else:
            y = self.depthwise(y)
        y = self.project(F.relu6(y).to(self.project.bias.dtype))
        return x + y if self.adds else y


def lower_precision(network: nn.Module, dtype: torch.dtype) -> None:
    """Compute a network of such blocks in half precision, but for one convolution.

    The depthwise kernels of MoveNet's first block cancel: in bfloat16 they alone put its deep map a
    quarter off (0.23 of its norm on photos, 0.06 with them in float32).

    Args:
        network: The network.
        dtype: Of weights and maps.
    """
    kept = {
        block.depthwise: block.depthwise.weight.data
        for block in network.modules()
        if isinstance(block, InvertedResidual) and block.expand is None
    }
    network.to(dtype)
    for layer, weight in kept.items():
        layer.float().weight.data = weight.float()
