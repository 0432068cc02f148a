# SPDX-License-Identifier: Apache-2.0
"""MediaPipe's palm detector: where hands are and which way they point."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastmetro_mm.models.backbones.inverted_residual import convolution, pad_same
from fastmetro_mm.models.weight_files import load_weights

SIZE = 256
"""Side of the square image that it takes, pixels."""
KEYPOINTS = (
    'wrist', 'index_knuckle', 'middle_knuckle', 'ring_knuckle', 'little_knuckle', 'thumb_base',
    'thumb_knuckle',
)  # fmt: skip
VALUES = 4 + 2 * len(KEYPOINTS)
# channels of each group of blocks; the first block of all but the first group halves the size
GROUPS = (32, 64, 128, 256, 256)
ANCHORS = {8: 2, 16: 2, 32: 6}  # by stride


class PalmBlock(nn.Module):
    """Convolve each channel, mix them, add the input, ReLU."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = convolution(channels, channels, 3, stride, groups=channels, bias=False)
        self.pointwise = convolution(channels, out_channels)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the block; new channels of the input count as zeros."""
        y = self.pointwise(self.depthwise(pad_same(x, 3) if self.stride == 2 else x))
        if self.stride == 2:
            x = F.max_pool2d(x, 2)
        return F.relu(y + F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1])))


class PalmNet(nn.Module):
    """The layers, named as in the converted weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, GROUPS[0], 3, 2)
        groups: list[nn.Sequential] = []
        for number, channels in enumerate(GROUPS):
            before = GROUPS[max(number - 1, 0)]
            first = PalmBlock(before, channels, 2 if number else 1)
            rest = [PalmBlock(channels, channels) for _ in range(7 if number else 6)]
            groups.append(nn.Sequential(first, *rest))
        self.groups = nn.ModuleList(groups)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(256, channels, 2, 2) for channels in (256, 128))
        self.merges = nn.ModuleList(PalmBlock(channels, channels) for channels in (256, 128))
        widths = {8: 128, 16: 256, 32: 256}
        self.scores = nn.ModuleDict(
            {f'stride{s}': convolution(widths[s], count) for s, count in ANCHORS.items()}
        )
        self.values = nn.ModuleDict(
            {f'stride{s}': convolution(widths[s], VALUES * count) for s, count in ANCHORS.items()}
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, 2944) and values (B, 2944, 18) of every anchor, fine ones first."""
        x = F.relu(self.stem(pad_same(x, 3)))
        maps: list[Tensor] = []
        for group in self.groups:
            x = group(x)
            maps.append(x)
        fine, middle, coarse = maps[2:]
        middle = self.merges[0](middle + F.relu(self.ups[0](coarse)))
        fine = self.merges[1](fine + F.relu(self.ups[1](middle)))
        scores, values = [], []
        for stride, level in zip(ANCHORS, (fine, middle, coarse), strict=True):
            score = self.scores[f'stride{stride}'](level)
            value = self.values[f'stride{stride}'](level)
            scores.append(score.permute(0, 2, 3, 1).flatten(1))
            values.append(value.permute(0, 2, 3, 1).reshape(len(x), -1, VALUES))
        return torch.cat(scores, dim=1), torch.cat(values, dim=1)


class PalmDetection(nn.Module):
    """The palm detector and its decoding.

    Args:
        weights: Name of a shipped network or a safetensors file; None: random weights.
    """

    centers: Tensor

    def __init__(self, weights: str | None = 'palm_detection') -> None:
        super().__init__()
        self.net = PalmNet()
        if weights is not None:
            self.net.load_state_dict(load_weights(weights))
        centers = [
            torch.cartesian_prod(steps, steps).flip(1).repeat_interleave(count, dim=0)
            for stride, count in ANCHORS.items()
            for steps in [(torch.arange(SIZE // stride) + 0.5) * stride]
        ]
        self.register_buffer('centers', torch.cat(centers), persistent=False)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor, least_score: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
        """Find palms.

        Args:
            x: RGB image, 0 to 1. (1, 3, 256, 256)
            least_score: Least confidence.

        Returns:
            Boxes of palms x1 y1 x2 y2 (N, 4), their keypoints (N, 7, 2), see ``KEYPOINTS``, in
            pixels of the image, and confidences (N,), the highest first; doubles are not removed.
        """
        logits, values = (part[0].float() for part in self.net(x))
        scores = logits.sigmoid()
        rows = torch.nonzero(scores >= least_score).flatten()
        rows = rows[scores[rows].argsort(descending=True)]
        values, centers = values[rows], self.centers[rows]
        middle, half = centers + values[:, :2], values[:, 2:4] / 2
        keypoints = centers[:, None] + values[:, 4:].unflatten(1, (len(KEYPOINTS), 2))
        return torch.cat([middle - half, middle + half], dim=1), keypoints, scores[rows]
