# SPDX-License-Identifier: Apache-2.0
"""MediaPipe's hand landmark network as a backbone: it learnt hands from photos."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.backbones.inverted_residual import InvertedResidual, convolution, pad_same
from fastmetro_mm.models.backbones.shipped_backbone import ShippedBackbone

NUM_LANDMARKS = 21
# Each block: channels of the depthwise convolution and of the output, its stride and kernel.
BLOCKS = (
    (24, 16, 1, 3),
    (64, 24, 2, 3),
    (144, 24, 1, 3),
    (144, 40, 2, 5),
    (240, 40, 1, 5),
    (240, 80, 2, 3),
    (480, 80, 1, 3),
    (480, 80, 1, 3),
    (480, 112, 1, 5),
    (672, 112, 1, 5),
    (672, 112, 1, 5),
    (672, 192, 2, 5),
    (1152, 192, 1, 5),
    (1152, 192, 1, 5),
    (1152, 192, 1, 5),
)
MIDDLE_BLOCK = 10  # the last one at stride 16
# middle: space-to-depth from stride 16
PARTS = {'deep': 1152, 'middle': 112 * 4}
OUTPUTS = {
    'landmarks': 3 * NUM_LANDMARKS,
    'presence': 1,
    'handedness': 1,
    'world_landmarks': 3 * NUM_LANDMARKS,
}


@MODELS.register_module()
class HandLandmark(ShippedBackbone):
    """MediaPipe Hands' landmark network (EfficientNet-like, 2.7 M parameters).

    Its input is RGB divided by 255 (mean 0, deviation 255 in the data preprocessor). Trained on
    224 px crops of one hand with the fingers up; every multiple of 32 works for ``forward``.

    Args:
        parts: What ``forward`` puts together, of ``'deep'`` and ``'middle'``; may be nothing with
            ``with_keypoints``.
        kwargs: See :class:`ShippedBackbone`; there are 15 blocks to freeze.
    """

    def __init__(self, parts: Sequence[str] = ('deep', 'middle'), **kwargs: Any) -> None:
        if not (parts or kwargs.get('with_keypoints')):
            raise ConfigError(f'HandLandmark: parts are empty, expected some of {tuple(PARTS)}')
        super().__init__(HandNet(), PARTS, parts, **kwargs)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Deep features, and the finer ones of stride 16 by space-to-depth, on one grid.

        Args:
            x: RGB crops, 0 to 1. (B, 3, H, W), H and W multiples of 32

        Returns:
            One map, stride 32: ((B, ``out_channels``, H/32, W/32),), if there are parts. In front
            of it, where asked for, the keypoints of :meth:`keypoints`.
        """
        found: tuple[Tensor, ...] = (self.keypoints(x),) if self.with_keypoints else ()
        if not self.parts:
            return found
        with self._without_gradients_if_frozen():
            middle, deep = self.net.maps(x)
            maps = {'deep': deep, 'middle': F.pixel_unshuffle(middle, 2)}
        return (*found, torch.cat([maps[part] for part in self.parts], dim=1))

    @torch.no_grad()
    def keypoints(self, x: Tensor) -> Tensor:
        """The landmarks of a hand that may be held any way up.

        The network knows hands with their fingers up. Each crop is looked at in four quarter
        turns, and the one in which the network is surest to see a hand is taken.

        Args:
            x: RGB crops, 0 to 1. (B, 3, 224, 224)

        Returns:
            x and y on the crop in [-1, 1], and the depth from the wrist in the same unit, away
            from the camera. (B, 21, 3) float32
        """
        batch, half = x.shape[0], x.shape[-1] / 2
        found = self.landmarks(torch.cat([x.rot90(turn, (2, 3)) for turn in range(4)]))
        best = found['presence'].view(4, batch).argmax(0)
        points = found['landmarks'].float().view(4, batch, NUM_LANDMARKS, 3)
        points = points[best, torch.arange(batch, device=x.device)] / half
        across, down, depth = points.unbind(-1)
        across, down = across - 1, down - 1
        # back by quarter turns: (x, y) of a crop turned counter-clockwise is (-y, x) before
        across_turned = torch.stack((across, -down, -across, down))
        down_turned = torch.stack((down, across, -down, -across))
        rows = torch.arange(batch, device=x.device)
        return torch.stack((across_turned[best, rows], down_turned[best, rows], depth), -1)

    @torch.no_grad()
    def landmarks(self, x: Tensor) -> dict[str, Tensor]:
        """What the source network answers.

        Args:
            x: RGB crops, 0 to 1. (B, 3, 224, 224)

        Returns:
            ``landmarks`` (B, 21, 3): x, y in pixels of the crop, z in the same unit with the
            wrist at 0; ``presence`` and ``handedness`` (B,), 0 to 1, near 1 for a right hand;
            ``world_landmarks`` (B, 21, 3), metres.
        """
        found = self.net(x)
        return {
            'landmarks': found['landmarks'].unflatten(1, (NUM_LANDMARKS, 3)),
            'presence': found['presence'][:, 0].sigmoid(),
            'handedness': found['handedness'][:, 0].sigmoid(),
            'world_landmarks': found['world_landmarks'].unflatten(1, (NUM_LANDMARKS, 3)),
        }


class HandNet(nn.Module):
    """The layers, named as in the converted weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, 24, 3, 2)
        blocks: list[InvertedResidual] = []
        channels = 24
        for hidden, out_channels, stride, kernel in BLOCKS:
            blocks.append(InvertedResidual(channels, hidden, out_channels, stride, kernel))
            channels = out_channels
        self.blocks = nn.ModuleList(blocks)
        self.expand = convolution(channels, PARTS['deep'])
        self.depthwise = convolution(PARTS['deep'], PARTS['deep'], 3, groups=PARTS['deep'])
        self.outputs = nn.ModuleDict(
            {name: nn.Linear(PARTS['deep'], count) for name, count in OUTPUTS.items()}
        )

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of stride 16 (B, 112, H/16, W/16) and 32 (B, 1152, H/32, W/32)."""
        if x.shape[-2] % 32 or x.shape[-1] % 32:
            raise ConfigError(
                f'images of {x.shape[-1]}x{x.shape[-2]} px: HandLandmark takes multiples of 32'
            )
        x = F.relu6(self.stem(pad_same(x, 3)))
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == MIDDLE_BLOCK:
                middle = x
        return middle, F.relu6(self.depthwise(F.relu6(self.expand(x))))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Raw outputs by name, (B, count) each."""
        pooled = self.maps(x)[1].mean((2, 3))
        return {name: layer(pooled) for name, layer in self.outputs.items()}
