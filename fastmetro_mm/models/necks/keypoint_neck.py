# SPDX-License-Identifier: Apache-2.0
"""Joint tokens lifted from key points and finished by FastMETRO's transformer on the image."""

import math

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.layers.position_encoding import sine_position_encoding
from fastmetro_mm.models.layers.transformer import Transformer
from fastmetro_mm.structures import TokenFeatures


class _Residual(nn.Module):
    """Two linear layers with a normalised input, added to it (after Martinez et al., ICCV 2017)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, dim)
        self.linear2 = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.linear2(nn.functional.relu(self.linear1(self.norm(x))))


@MODELS.register_module()
class KeypointNeck(BaseModule):
    """Camera and joint tokens from key points, corrected by a look at the feature map.

    A residual net lifts the key points to a camera token and one token a joint; a 2D pose network
    has seen real people, so this part carries over from drawn people to photographs. FastMETRO's
    encoder-decoder then lets the camera token and the image tokens attend to each other and the
    joint tokens look at the image, and what it finds is added to the tokens: it starts at nothing,
    so that key points alone (no map) give a body too.

    Args:
        in_channels: Channels of the feature map; None for key points alone.
        num_keypoints: Key points a person.
        num_joints: Joint tokens, one a joint of the skeleton.
        hidden_dims: Width of the net over the key points.
        num_blocks: Residual blocks of that net.
        embed_dims: Width of the tokens.
        feedforward_dims: Hidden width of the transformer's feed-forward nets.
        num_layers: Layers of encoder and decoder each.
        num_heads: Attention heads.
        dropout: Dropout of the transformer.
        feature_size: (height, width) of the feature map.
        num_frequencies: Octaves of the sine features of a key point's place.
        body: Not needed; the estimator hands it to every neck.
        init_cfg: See mmengine's ``BaseModule``.
    """

    frequencies: Tensor
    position: Tensor
    attention_mask: Tensor

    def __init__(
        self,
        in_channels: int | None = 1280,
        num_keypoints: int = 17,
        num_joints: int = 24,
        hidden_dims: int = 704,
        num_blocks: int = 2,
        embed_dims: int = 128,
        feedforward_dims: int = 512,
        num_layers: int = 2,
        num_heads: int = 4,
        dropout: float = 0.0,
        feature_size: tuple[int, int] = (8, 8),
        num_frequencies: int = 4,
        body: object = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.num_keypoints, self.num_joints = num_keypoints, num_joints
        self.embed_dims = embed_dims
        height, width = self.feature_size = tuple(feature_size)
        self.lift = nn.Sequential(
            nn.Linear(num_keypoints * (3 + 4 * num_frequencies), hidden_dims),
            *(_Residual(hidden_dims) for _ in range(num_blocks)),
            nn.LayerNorm(hidden_dims),
            nn.Linear(hidden_dims, (1 + num_joints) * embed_dims),
        )
        frequencies = math.pi * 2.0 ** torch.arange(num_frequencies)
        self.register_buffer('frequencies', frequencies, persistent=False)
        self.conv_1x1 = None
        if in_channels is None:
            return
        self.conv_1x1 = nn.Conv2d(in_channels, embed_dims, kernel_size=1)
        self.transformer = Transformer(embed_dims, num_heads, feedforward_dims, dropout, num_layers)
        self.camera_correction = nn.Linear(embed_dims, embed_dims)
        self.joint_correction = nn.Linear(embed_dims, embed_dims)
        for correction in (self.camera_correction, self.joint_correction):
            nn.init.zeros_(correction.weight)
            nn.init.zeros_(correction.bias)
        grid = sine_position_encoding(height, width, embed_dims)
        position = torch.cat((grid.new_zeros(1, embed_dims), grid))
        self.register_buffer('position', position, persistent=False)
        mask = torch.ones(num_joints, num_joints, dtype=torch.bool)
        self.register_buffer('attention_mask', mask, persistent=False)

    def forward(self, feats: tuple[Tensor, ...]) -> TokenFeatures:
        """Lift the key points and correct the tokens.

        Args:
            feats: Key points (B, K, 3): x and y on the crop in [-1, 1] and a third number that
                says more, a score or a depth; then the feature map (B, in_channels, H, W), which
                may be left out.

        Returns:
            Camera (B, C) and joint tokens (B, J, C); no vertex tokens.

        Raises:
            ConfigError: Another number of key points, or a map of another size.
        """
        return self.finish(*self.begin(feats))

    def begin(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What bears half precision: nothing here, see :meth:`lower_precision`."""
        return tuple(feats)

    def finish(self, keypoints: Tensor, *grids: Tensor) -> TokenFeatures:
        """Everything: key points (B, K, 3) and the feature map, if there is one, to tokens."""
        if tuple(keypoints.shape[1:]) != (self.num_keypoints, 3):
            raise ConfigError(
                f'KeypointNeck expects key points (B, {self.num_keypoints}, 3) but got '
                f'{tuple(keypoints.shape)}'
            )
        lifted = self.lift(self._featurise(keypoints).flatten(1))
        cam_token, joints = lifted.unflatten(1, (-1, self.embed_dims)).split(
            (1, self.num_joints), dim=1
        )
        if grids:
            cam_token, joints = self._correct(cam_token, joints, grids[0])
        # not len(), which would fix the batch of an exported graph
        nothing = joints.new_zeros(joints.shape[0], 0, self.embed_dims)
        return TokenFeatures(cam_token[:, 0], joints, nothing, keypoints)

    def _correct(self, cam_token: Tensor, joints: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        if self.conv_1x1 is None:
            raise ConfigError(
                'KeypointNeck got a feature map but was built without one: set '
                'neck.in_channels, or with_map=False of the backbone'
            )
        expected = (self.conv_1x1.in_channels, *self.feature_size)
        if tuple(grid.shape[1:]) != expected:
            raise ConfigError(
                f'KeypointNeck expects a feature map (B, {", ".join(map(str, expected))}) but '
                f'got {tuple(grid.shape)}: set neck.in_channels and neck.feature_size'
            )
        grid = grid.to(joints.dtype)
        image = self.conv_1x1(grid).flatten(2).transpose(1, 2)  # (B, HW, C)
        encoded = self.transformer.encoder(torch.cat((cam_token, image), dim=1), self.position)
        decoded = self.transformer.decoder(
            joints, encoded[:, 1:], self.position[1:], self.attention_mask
        )
        return (
            cam_token + self.camera_correction(encoded[:, :1]),
            joints + self.joint_correction(decoded),
        )

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Stay in float32, whatever the backbone computes in: places need the digits."""

    def _featurise(self, keypoints: Tensor) -> Tensor:
        """(B, K, 3 + 4 F): place, score, sines and cosines of the place."""
        places = keypoints[..., :2]
        angles = (places[..., None] * self.frequencies).flatten(2)
        return torch.cat((keypoints, angles.sin(), angles.cos()), dim=-1)
