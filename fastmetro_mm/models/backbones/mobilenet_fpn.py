# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2 with a feature pyramid and keypoint heads, the network of the MoveNet family.

Source: Sandler et al., *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, CVPR 2018; the
pyramid and the heads as in MoveNet (Google, 2021), which follows Zhou et al., *Objects as Points*,
2019. Batch normalisation is folded into the convolutions, all of which have a bias.
"""

from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.backbones.inverted_residual import InvertedResidual, convolution, pad_same

# channels of the deepest map, the same at every width
DEEP_CHANNELS = 1280
PYRAMID_CHANNELS = (64, 32, 24, 24)
# MobileNetV2's stages: expansion, channels at width 1, blocks, stride of the first block
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
# blocks after which the pyramid takes its finer maps, stride 16, 8 and 4
LATERAL_BLOCKS = (9, 5, 2)


def widened(channels: int, width: float) -> int:
    """Channels at a width: a multiple of eight, never more than a tenth smaller than asked for."""
    rounded = max(8, int(channels * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels * width else rounded


class SeparableConvolution(nn.Module):
    """A 3x3 convolution of each channel, a 1x1 convolution with bias, ReLU."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = convolution(channels, channels, 3, groups=channels, bias=False)
        self.pointwise = convolution(channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W)."""
        return F.relu(self.pointwise(self.depthwise(x)))


class DenseHead(nn.Sequential):
    """One quantity at every cell of the pyramid's map."""

    def __init__(self, out_channels: int) -> None:
        super().__init__(
            SeparableConvolution(PYRAMID_CHANNELS[-1], 96), convolution(96, out_channels)
        )


class MobileNetFPN(nn.Module):
    """The trunk, the pyramid and the heads.

    Args:
        width: Factor of the channels.
        heads: Channels of each head, by name.
    """

    def __init__(self, width: float, heads: Mapping[str, int]) -> None:
        super().__init__()
        channels = widened(32, width)
        self.stem = convolution(3, channels, 3, 2)
        blocks: list[InvertedResidual] = []
        for expansion, base, count, stride in STAGES:
            for index in range(count):
                step = stride if index == 0 else 1
                out_channels = widened(base, width)
                blocks.append(InvertedResidual(channels, channels * expansion, out_channels, step))
                channels = out_channels
        self.blocks = nn.ModuleList(blocks)
        self.deep = convolution(channels, DEEP_CHANNELS)
        self.top = convolution(DEEP_CHANNELS, PYRAMID_CHANNELS[0])
        self.laterals = nn.ModuleList(
            convolution(blocks[index].project.out_channels, fused)
            for index, fused in zip(LATERAL_BLOCKS, PYRAMID_CHANNELS, strict=False)
        )
        self.merges = nn.ModuleList(
            SeparableConvolution(fine, finer) for fine, finer in pairwise(PYRAMID_CHANNELS)
        )
        self.heads = nn.ModuleDict({name: DenseHead(count) for name, count in heads.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Evaluate the whole network.

        Args:
            x: Normalised RGB images. (B, 3, H, W), H and W multiples of 32

        Returns:
            ``deep`` (B, 1280, H/32, W/32), ``fpn`` (B, 24, H/4, W/4), and the raw value of every
            head at the size of ``fpn``.

        Raises:
            ValueError: The size is not a multiple of 32.
        """
        if x.shape[-2] % 32 or x.shape[-1] % 32:
            raise ConfigError(
                f'images of {x.shape[-1]}x{x.shape[-2]} px: MoveNet takes multiples of 32'
            )
        x = F.relu6(self.stem(pad_same(x, 3)))
        laterals: dict[int, Tensor] = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in LATERAL_BLOCKS:
                laterals[index] = x
        deep = F.relu6(self.deep(x))
        y = self.top(deep)
        for index, lateral, merge in zip(LATERAL_BLOCKS, self.laterals, self.merges, strict=True):
            y = F.interpolate(y, scale_factor=2.0, mode='bilinear', align_corners=False)
            y = merge(y + lateral(laterals[index]))
        return {'deep': deep, 'fpn': y, **{name: head(y) for name, head in self.heads.items()}}
