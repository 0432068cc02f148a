# SPDX-License-Identifier: Apache-2.0
"""torchvision's networks as backbones, and what a neck must know of each choice."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.errors import ConfigError


@MODELS.register_module()
class TorchvisionBackbone(BaseModule):
    """The feature map of a classification network of torchvision.

    Args:
        arch: ``vit_*``, ``swin_*`` or ``swin_v2_*``, or any network with a ``features`` part whose
            result is a map (``convnext_*``, ``efficientnet_*``, ``mobilenet_v3_*``...).
        weights: Name of torchvision's weights, e.g. ``'IMAGENET1K_V1'``, which are downloaded;
            None: random ones.
        frozen: Whether to keep the weights as they are.
        init_cfg: See mmengine's ``BaseModule``.
        kwargs: For the network, e.g. ``image_size=256`` of a ``vit_*``.

    Raises:
        ConfigError: torchvision has no such network, or it has no map.
    """

    def __init__(
        self,
        arch: str,
        weights: str | None = None,
        frozen: bool = False,
        init_cfg: dict | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        from torchvision.models import get_model, list_models

        if arch not in list_models():
            raise ConfigError(f"torchvision has no network '{arch}': see torchvision.models")
        net = get_model(arch, weights=weights, **kwargs)
        self.is_vit, self.is_swin = arch.startswith('vit_'), arch.startswith('swin_')
        if not self.is_vit and not hasattr(net, 'features'):
            raise ConfigError(f"torchvision's '{arch}' has no map: use vit, swin or convnext")
        self.net = net
        for name in ('heads', 'head', 'classifier', 'fc'):  # what classifies is not needed
            if hasattr(net, name):
                setattr(net, name, nn.Identity())
        self.frozen = frozen
        if frozen:
            self.requires_grad_(False)

    def train(self, mode: bool = True) -> TorchvisionBackbone:
        """Switch modes; a frozen network stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """One map.

        Args:
            x: Normalised RGB crops. (B, 3, S, S)

        Returns:
            ``(map,)`` of (B, C, h, w).
        """
        if self.is_vit:
            return (self._vit(x),)
        features = self.net.features(x)
        if self.is_swin:
            features = self.net.norm(features).permute(0, 3, 1, 2)
        return (features,)

    def _vit(self, x: Tensor) -> Tensor:
        patches = self.net.conv_proj(x)
        height, width = patches.shape[2:]
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat((self.net.class_token.expand(len(x), -1, -1), tokens), dim=1)
        encoded = self.net.encoder(tokens)[:, 1:]
        return encoded.transpose(1, 2).unflatten(2, (height, width))


@dataclass(frozen=True)
class Choice:
    """A backbone for crops of 224 px, and the settings of the neck that fit.

    Attributes:
        backbone: Its config.
        in_channels: Channels of its map.
        feature_size: Height and width of its map.
    """

    backbone: dict
    in_channels: int
    feature_size: tuple[int, int]


def _swin(width: int, depths: tuple[int, ...], heads: tuple[int, ...]) -> dict:
    return dict(
        type='SwinTransformer', embed_dims=width, depths=depths, num_heads=heads, out_indices=(3,)
    )


CHOICES = {
    'hrnet_w64': Choice(dict(type='FusedHRNet', width=64), 2048, (7, 7)),
    'swin_tiny': Choice(_swin(96, (2, 2, 6, 2), (3, 6, 12, 24)), 768, (7, 7)),
    'swin_small': Choice(_swin(96, (2, 2, 18, 2), (3, 6, 12, 24)), 768, (7, 7)),
    'swin_base': Choice(_swin(128, (2, 2, 18, 2), (4, 8, 16, 32)), 1024, (7, 7)),
    'pvt_v2_b2': Choice(
        dict(
            type='PyramidVisionTransformerV2',
            embed_dims=64,
            num_layers=[3, 4, 6, 3],
            out_indices=(3,),
        ),
        512,
        (7, 7),
    ),
    'convnext_tiny': Choice(dict(type='TorchvisionBackbone', arch='convnext_tiny'), 768, (7, 7)),
    'swin_v2_t': Choice(dict(type='TorchvisionBackbone', arch='swin_v2_t'), 768, (7, 7)),
    'vit_b_16': Choice(dict(type='TorchvisionBackbone', arch='vit_b_16'), 768, (14, 14)),
    'vit_b_32': Choice(dict(type='TorchvisionBackbone', arch='vit_b_32'), 768, (7, 7)),
}
"""Backbones of mmpose and torchvision by name; ``hrnet_w64`` is the paper's."""
