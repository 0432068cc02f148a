# SPDX-License-Identifier: Apache-2.0
"""NanoDet-g: boxes of people, small ones and crowds too, without keypoints.

Source: RangiLyu, *NanoDet-Plus* (github.com/RangiLyu/nanodet, 2021), model "g"; boxes as
distributions follow Li et al., *Generalized Focal Loss*, NeurIPS 2020. Batch normalisation is
folded into the convolutions. Of the source's 80 classes of objects only people are here.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.weight_files import load_weights

INPUT_MEAN = (123.675, 116.28, 103.53)
"""Of the data preprocessor, RGB; the network itself takes BGR."""
INPUT_STD = (58.395, 57.12, 57.375)
STRIDES = (8, 16, 32)
SIDES = 4
BINS = 11
"""A box's side lies 0 to 10 strides from its cell."""
# channels, stride and number of residual pairs of each stage; the stem has 32 channels
STAGES = ((32, 1, 1), (64, 2, 2), (128, 2, 2), (256, 2, 3))
PYRAMID_CHANNELS = 128


class Convolution(nn.Conv2d):
    """A 3x3 convolution with bias, leaky ReLU."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(channels, out_channels, 3, stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W)."""
        return F.leaky_relu(super().forward(x), 0.1)


class ResidualStage(nn.Module):
    """Cross-stage partial block: what is refined is put beside what came in.

    Args:
        channels: Of the input.
        width: Of the first convolution; the output has twice as many channels.
        stride: Of the first convolution.
        count: Number of pairs of convolutions.
    """

    def __init__(self, channels: int, width: int, stride: int, count: int) -> None:
        super().__init__()
        self.first = Convolution(channels, width, stride)
        self.pairs: Any = nn.ModuleList(
            nn.ModuleList((Convolution(width, width // 2), Convolution(width // 2, width // 2)))
            for _ in range(count)
        )
        self.last = Convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the block on (B, C, H, W)."""
        x = y = self.first(x)
        for narrow, deeper in self.pairs:
            y = narrow(y)
            y = torch.cat([deeper(y), y], dim=1)
        return torch.cat([self.last(y), x], dim=1)


class NanoDetNet(nn.Module):
    """The layers, named as in the converted weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, 2)
        stages: list[ResidualStage] = []
        channels = 32
        for width, stride, count in STAGES:
            stages.append(ResidualStage(channels, width, stride, count))
            channels = 2 * width
        self.stages = nn.ModuleList(stages)
        self.laterals = nn.ModuleList(
            nn.Conv2d(2 * width, PYRAMID_CHANNELS, 1) for width, _, _ in STAGES[1:]
        )
        self.towers = nn.ModuleList(
            Convolution(PYRAMID_CHANNELS, PYRAMID_CHANNELS) for _ in STRIDES
        )
        self.outputs = nn.ModuleList(
            nn.Conv2d(PYRAMID_CHANNELS, 1 + SIDES * BINS, 1) for _ in STRIDES
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Evaluate the network.

        Args:
            x: Normalised BGR images. (B, 3, H, W), H and W multiples of 32

        Returns:
            For every stride the logit of a person and the logits of the bins of the left, upper,
            right and lower side. (B, 45, H/stride, W/stride) each

        Raises:
            ConfigError: The size is not a multiple of 32.
        """
        if x.shape[-2] % 32 or x.shape[-1] % 32:
            raise ConfigError(
                f'images of {x.shape[-1]}x{x.shape[-2]} px: NanoDet takes multiples of 32'
            )
        x = F.max_pool2d(self.stem(x), 3, 2, 1)
        deep: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            deep.append(x)
        fine, middle, coarse = (
            lateral(y) for lateral, y in zip(self.laterals, deep[1:], strict=True)
        )
        middle = middle + _resized(coarse, 2.0)
        fine = fine + _resized(middle, 2.0)
        middle = middle + _resized(fine, 0.5)
        coarse = coarse + _resized(middle, 0.5)
        return [
            output(tower(y))
            for tower, output, y in zip(
                self.towers, self.outputs, (fine, middle, coarse), strict=True
            )
        ]


def _resized(x: Tensor, factor: float) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode='bilinear', align_corners=False)


class NanoDet(nn.Module):
    """The network and its decoding.

    Args:
        weights: Name of a shipped network or a safetensors file; None: random weights.
    """

    def __init__(self, weights: str | None = 'nanodet') -> None:
        super().__init__()
        self.net = NanoDetNet()
        if weights is not None:
            self.net.load_state_dict(load_weights(weights))
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor, least_score: float = 0.3) -> tuple[Tensor, Tensor]:
        """Find people.

        Args:
            x: RGB image, normalised with ``INPUT_MEAN`` and ``INPUT_STD``. (1, 3, H, W), H and W
                multiples of 32
            least_score: Least confidence.

        Returns:
            Boxes x1 y1 x2 y2 in pixels of the image (N, 4) and confidences (N,), the highest
            first; doubles are not removed.
        """
        return decode_boxes([y[0].float() for y in self.net(x.flip(1))], least_score)


def decode_boxes(maps: list[Tensor], least_score: float) -> tuple[Tensor, Tensor]:
    """Boxes in the raw maps of one image.

    Each side lies as far from the middle of its cell as its distribution over 0 to 10 strides
    expects.

    Args:
        maps: See ``NanoDetNet.forward``. (45, h, w) each
        least_score: Least confidence.

    Returns:
        See ``NanoDet.forward``.
    """
    boxes, scores = [], []
    for stride, values in zip(STRIDES, maps, strict=True):
        confidence = values[0].sigmoid()
        row, column = torch.nonzero(confidence >= least_score, as_tuple=True)
        steps = torch.arange(BINS, device=values.device, dtype=values.dtype)
        bins = values[1:, row, column].T.unflatten(1, (SIDES, BINS)).softmax(-1)
        reach = (bins @ steps) * stride
        middle = torch.stack([column, row], dim=1) * stride + (stride - 1) / 2
        boxes.append(torch.cat([middle - reach[:, :2], middle + reach[:, 2:]], dim=1))
        scores.append(confidence[row, column])
    found = torch.cat(scores)
    order = found.argsort(descending=True, stable=True)
    return torch.cat(boxes)[order], found[order]
