# SPDX-License-Identifier: Apache-2.0
"""MoveNet as a backbone: a network that learnt human pose from photos of people."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.backbones.mobilenet_fpn import (
    DEEP_CHANNELS,
    PYRAMID_CHANNELS,
    MobileNetFPN,
)
from fastmetro_mm.models.backbones.shipped_backbone import ShippedBackbone

WIDTHS = {'lightning': 1.0, 'multipose': 1.5, 'thunder': 1.75}
NUM_KEYPOINTS = 17
HEADS = {'heatmaps': 17, 'centers': 1, 'regressions': 34, 'offsets': 34}
STRIDE = 4
# The graph computes x * 0.00784302 - 1 (2/255 in half precision) on values of 0 to 255: the mean
# and the deviation of the config's data preprocessor, for all three channels, RGB.
INPUT_MEAN = INPUT_STD = 1 / 0.007843017578125
# how much the distance to a predicted place counts against a high response there, in cells
DISTANCE_FLOOR = 1.7998046875
# fpn: averaged over 4x4 cells, then space-to-depth to the grid
PARTS = {
    'deep': DEEP_CHANNELS,
    'heatmaps': NUM_KEYPOINTS * (32 // STRIDE) ** 2,
    'fpn': PYRAMID_CHANNELS[-1] * 4,
}


@MODELS.register_module()
class MoveNet(ShippedBackbone):
    """MoveNet SinglePose (MobileNetV2 with FPN and four keypoint heads) as a backbone.

    Its input is normalised with ``INPUT_MEAN`` and ``INPUT_STD``, channels in RGB order. Trained on
    256 px (``thunder``) or 192 px (``lightning``) crops with a quarter of margin; every multiple of
    32 works.

    Args:
        arch: ``'thunder'`` (width 1.75, 6.2 M parameters) or ``'lightning'`` (width 1.0, 2.3 M).
        parts: What ``forward`` puts together, of ``'deep'``, ``'heatmaps'``, ``'fpn'``.
        kwargs: See :class:`ShippedBackbone`; there are 17 blocks to freeze.
    """

    def __init__(
        self,
        arch: str = 'thunder',
        parts: Sequence[str] = ('deep', 'heatmaps', 'fpn'),
        **kwargs: Any,
    ) -> None:
        if arch not in WIDTHS:
            raise ConfigError(f'MoveNet: arch is {arch!r}, expected one of {sorted(WIDTHS)}')
        if not parts:
            raise ConfigError(f'MoveNet: parts are empty, expected some of {tuple(PARTS)}')
        super().__init__(MobileNetFPN(WIDTHS[arch], HEADS), PARTS, parts, **kwargs)

    def evidence(self, x: Tensor) -> dict[str, Tensor]:
        """Every map of the network.

        Args:
            x: Normalised RGB crops. (B, 3, H, W), H and W multiples of 32

        Returns:
            ``deep`` (B, 1280, H/32, W/32); at a quarter of the input's size ``heatmaps`` (B, 17)
            and ``centers`` (B, 1), both in 0 to 1, ``regressions`` (B, 34) from a person's centre
            to the 17 keypoints and ``offsets`` (B, 34) within a cell, both as y, x pairs in cells,
            and ``fpn`` (B, 24).
        """
        with self._without_gradients_if_frozen():
            maps = self.net(x)
            maps['heatmaps'] = maps['heatmaps'].sigmoid()
            maps['centers'] = maps['centers'].sigmoid()
        return maps

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Deep features and the located evidence on one grid.

        Pooling would lose where in a cell a joint is, so the heat maps go there by
        space-to-depth: 8x8 values of each become 64 channels.

        Args:
            x: Normalised RGB crops. (B, 3, H, W), H and W multiples of 32

        Returns:
            One map, stride 32: ((B, ``out_channels``, H/32, W/32),). In front of it, where asked
            for, the keypoints (B, 17, 3): x and y on the crop in [-1, 1] and a score, float32.
        """
        maps = self.evidence(x)
        if not self.with_keypoints:
            return (self.grid(maps),)
        found = _decode_maps(maps)
        across, down, score = found.unbind(-1)
        places = across * (2 / x.shape[3]) - 1, down * (2 / x.shape[2]) - 1
        return torch.stack((*places, score), dim=-1), self.grid(maps)

    def grid(self, maps: dict[str, Tensor]) -> Tensor:
        """Put maps of ``evidence`` together on the deep map's grid (B, C, H/32, W/32)."""
        unfold = {
            'deep': lambda deep: deep,
            'heatmaps': lambda heat: F.pixel_unshuffle(heat, 32 // STRIDE),
            'fpn': lambda fpn: F.pixel_unshuffle(F.avg_pool2d(fpn, 4), 2),
        }
        return torch.cat([unfold[part](maps[part]) for part in self.parts], dim=1)

    @torch.no_grad()
    def keypoints(self, x: Tensor) -> Tensor:
        """The COCO keypoints of the person in the middle of each crop.

        Args:
            x: Normalised RGB crops. (B, 3, H, W), H and W multiples of 32

        Returns:
            x and y in pixels of the crop, measured from its upper left corner, and a score of 0
            to 1. (B, 17, 3)
        """
        return _decode_maps(self.evidence(x))


@torch.no_grad()
def _decode_maps(maps: dict[str, Tensor]) -> Tensor:
    names = ('heatmaps', 'centers', 'regressions', 'offsets')
    return decode_single(*(maps[name].float() for name in names))


def decode_single(
    heatmaps: Tensor, centers: Tensor, regressions: Tensor, offsets: Tensor
) -> Tensor:
    """Keypoints of the person nearest to the middle, as MoveNet SinglePose decodes them.

    The centre map, weighted towards the middle, gives one cell; from there the regression says
    where each keypoint is about; each heat map, divided by the distance from that place, has its
    maximum at the keypoint, and the offsets refine it within its cell.

    Args:
        heatmaps: (B, 17, h, w), 0 to 1.
        centers: (B, 1, h, w), 0 to 1.
        regressions: y, x pairs in cells. (B, 34, h, w)
        offsets: y, x pairs in cells. (B, 34, h, w)

    Returns:
        x, y in pixels of the input and score. (B, 17, 3)
    """
    batch, joints, height, width = heatmaps.shape
    cells = cells_of(height, width, heatmaps.device)  # (h*w, 2)
    # number by number: a tensor of both would be copied to the device every time
    to_middle = torch.stack((cells[:, 0] - height // 2, cells[:, 1] - width // 2), -1)
    to_middle = to_middle.norm(dim=-1) + DISTANCE_FLOOR
    # the graph holds these weights in half precision
    peak = (centers.flatten(1) * to_middle.reciprocal().half().float()).argmax(1)  # (B,)
    index = peak.view(batch, 1, 1).expand(-1, 2 * joints, 1)
    about = regressions.flatten(2).gather(2, index).view(batch, joints, 2) + cells[peak][:, None]
    distance = (cells - about.unsqueeze(2)).square().sum(-1).sqrt() + DISTANCE_FLOOR
    scores = heatmaps.flatten(2)  # (B, 17, h*w)
    best = (scores / distance).argmax(2, keepdim=True)  # (B, 17, 1)
    shift = offsets.view(batch, joints, 2, -1).gather(3, best.unsqueeze(2).expand(-1, -1, 2, 1))
    place = (cells[best.squeeze(2)] + shift.squeeze(3)).flip(-1) * STRIDE
    return torch.cat([place, scores.gather(2, best)], dim=-1)


def cells_of(height: int, width: int, device: torch.device) -> Tensor:
    """Row and column of every cell (h*w, 2), row by row."""
    rows = torch.arange(height, dtype=torch.float32, device=device)
    columns = torch.arange(width, dtype=torch.float32, device=device)
    return torch.stack(torch.meshgrid(rows, columns, indexing='ij'), -1).view(-1, 2)
