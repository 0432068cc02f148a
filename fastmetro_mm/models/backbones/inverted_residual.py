# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2's block, with batch normalisation folded into its convolutions.

Source: Sandler et al., *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, CVPR 2018.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from fastmetro_mm.geometry.precision import full_precision


class Convolution(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME.

    At stride 2 and an even size, SAME pads less on the left and the top than on the right and the
    bottom.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(channels, out_channels, kernel, stride, padding, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W); H and W are even at stride 2."""
        if self.stride == (2, 2):
            total = self.kernel_size[0] - 2
            before = total // 2
            x = F.pad(x, (before, total - before, before, total - before))
        return super().forward(x)


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
        self.expand = Convolution(channels, hidden) if hidden > channels else None
        self.depthwise = Convolution(hidden, hidden, kernel, stride, groups=hidden)
        self.project = Convolution(hidden, out_channels)
        self.adds = stride == 1 and channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the block.

        Args:
            x: (B, C, H, W)

        Returns:
            (B, C', H', W')
        """
        if self.expand is None:
            # The first block's kernels cancel: in bfloat16 they alone put the deep map a quarter
            # off (0.23 of its norm on photos, 0.06 with this one convolution in float32).
            with full_precision(x):
                y = self.depthwise(x.to(self.depthwise.weight.dtype))
        else:
            y = self.depthwise(F.relu6(self.expand(x)))
        y = self.project(F.relu6(y))
        return x + y if self.adds else y
