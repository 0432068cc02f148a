# SPDX-License-Identifier: Apache-2.0
"""The two encoder-decoder transformers of FastMETRO (Cho et al., ECCV 2022)."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from scipy import sparse
from torch import Tensor, nn

from fastmetro_mm.body.mesh_body import MeshBody, build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.layers.position_encoding import sine_position_encoding
from fastmetro_mm.models.layers.transformer import Transformer
from fastmetro_mm.structures import TokenFeatures

# tokens of neighbours then point almost the same way (cosine 0.96), those of limbs apart do not
SMOOTHING_ROUNDS = 20


@MODELS.register_module()
class FastMETRONeck(BaseModule):
    """Turn an image feature map into one camera token, joint tokens and coarse vertex tokens.

    A 1x1 convolution and the first transformer work at the first width, three linear layers
    reduce camera, image and joint-vertex tokens to the second width, and a second transformer
    finishes there. In evaluation the self-attention of the very first decoder layer is computed
    once and kept: it sees learned tokens only, the same for every image.

    Args:
        body: Which mesh: the estimator's :class:`MeshBody`, or ``dict(name='smpl', ...)``; gives
            the number of coarse vertices and their neighbours.
        in_channels: Channels of the feature map.
        num_joints: Joint tokens: 14 for bodies, 21 for hands.
        embed_dims: Widths of the two transformers.
        feedforward_dims: Hidden widths of their feed-forward nets.
        num_layers: Layers of every encoder and decoder: 1 is FastMETRO-S, 2 -M, 3 -L.
        num_heads: Attention heads.
        dropout: Dropout of both transformers.
        feature_size: (height, width) of the expected feature map. Another size works too; its
            position encoding is then computed when it comes.
        informed_start: Start vertex tokens alike where vertices are neighbours, instead of each at
            random as the official code does: the mesh of a short training is whole then. Loaded
            weights replace them.
        init_cfg: See mmengine's ``BaseModule``.
    """

    attention_mask: Tensor
    position_1: Tensor
    position_2: Tensor

    def __init__(
        self,
        body: MeshBody | dict,
        in_channels: int = 2048,
        num_joints: int = 14,
        embed_dims: tuple[int, int] = (512, 128),
        feedforward_dims: tuple[int, int] = (2048, 512),
        num_layers: int = 3,
        num_heads: int = 8,
        dropout: float = 0.1,
        feature_size: tuple[int, int] = (7, 7),
        informed_start: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        assets = build_body(body, with_model=False).assets
        self.num_joints = num_joints
        self.num_vertices = assets.num_vertices[-1]
        self.embed_dims = tuple(embed_dims)
        wide, narrow = self.embed_dims

        self.conv_1x1 = nn.Conv2d(in_channels, wide, kernel_size=1)
        self.cam_token_embed = nn.Embedding(1, wide)
        self.joint_token_embed = nn.Embedding(num_joints, wide)
        self.vertex_token_embed = nn.Embedding(self.num_vertices, wide)
        if informed_start:
            with torch.no_grad():
                tokens = self.vertex_token_embed.weight
                tokens.copy_(_smoothed(tokens, assets.adjacency[-1]))
        self.transformer_1 = Transformer(wide, num_heads, feedforward_dims[0], dropout, num_layers)
        self.dim_reduce_enc_cam = nn.Linear(wide, narrow)
        self.dim_reduce_enc_img = nn.Linear(wide, narrow)
        self.dim_reduce_dec = nn.Linear(wide, narrow)
        self.transformer_2 = Transformer(
            narrow, num_heads, feedforward_dims[1], dropout, num_layers
        )

        mask = _attention_mask(assets.adjacency[-1], num_joints)
        self.register_buffer('attention_mask', mask, persistent=False)
        self._grid = tuple(feature_size)
        for name, dim in zip(('position_1', 'position_2'), self.embed_dims, strict=True):
            self.register_buffer(name, _positions(*feature_size, dim), persistent=False)
        self.feature_size = tuple(feature_size)
        self._said_larger_map = False
        # state of what it was computed from, the result, what it was computed from
        self._first_attention: tuple[tuple, Tensor, list[Tensor]] | None = None

    def forward(self, feats: Tensor | tuple[Tensor, ...]) -> TokenFeatures:
        """Run both transformers.

        Args:
            feats: Feature map, or a tuple whose last entry is used. (B, in_channels, H, W)

        Returns:
            Tokens of the second width.

        Raises:
            ValueError: If the map has other than ``in_channels`` channels.
        """
        height, width = _last(feats).shape[2:]
        return self.finish(*self.begin(feats), grid=(height, width))

    def begin(self, feats: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """The first transformer, which bears half precision (see :meth:`lower_precision`).

        Args:
            feats: As for :meth:`forward`.

        Returns:
            Camera (B, 1, C), image (B, HW, C) and joint-vertex tokens (B, J + V, C), brought to the
            second width.
        """
        x = _last(feats)
        hint = self._hint_at_larger_map(x)
        if x.shape[1] != self.conv_1x1.in_channels:
            raise ConfigError(
                f'FastMETRONeck expects a feature map of {self.conv_1x1.in_channels} channels but '
                f'got {tuple(x.shape)}: set neck.in_channels to what the backbone returns last'
                f'{hint}'
            )
        if hint and not self._said_larger_map:
            self._said_larger_map = True
            print_log(
                f'FastMETRONeck: feature map {tuple(x.shape)}{hint}', 'current', logging.WARNING
            )
        position, _ = self._positions_of(x.shape[2:])
        image = self.conv_1x1(x).flatten(2).transpose(1, 2)  # (B, HW, 512)
        cam_token = self.cam_token_embed.weight.expand(x.shape[0], 1, -1)  # (B, 1, 512)
        found = self._run(
            self.transformer_1,
            cam_token,
            image,
            self._learned_tokens(),
            position,
            self._attend_once(),
        )
        cam_token, image, tokens = (x.to(self.position_2.dtype) for x in found)
        return (
            self.dim_reduce_enc_cam(cam_token),  # (B, 1, 128)
            self.dim_reduce_enc_img(image),  # (B, HW, 128)
            self.dim_reduce_dec(tokens),  # (B, J + V, 128)
        )

    def finish(
        self, cam_token: Tensor, image: Tensor, tokens: Tensor, grid: tuple[int, int] | None = None
    ) -> TokenFeatures:
        """The second transformer, which needs all digits.

        Args:
            cam_token: From :meth:`begin`.
            image: From there.
            tokens: From there.
            grid: (H, W) of the feature map; ``feature_size`` if not given.

        Returns:
            Tokens of the second width.
        """
        _, position = self._positions_of(grid or self.feature_size)
        cam_token, _, tokens = self._run(
            self.transformer_2, cam_token, image, tokens, position, None
        )
        return TokenFeatures(
            cam_token=cam_token[:, 0],
            joints=tokens[:, : self.num_joints],
            vertices=tokens[:, self.num_joints :],
        )

    def _hint_at_larger_map(self, x: Tensor) -> str:
        """What to do about a map with more cells than ``feature_size``; empty if it has not."""
        cells, expected = x.shape[2] * x.shape[3], self.feature_size[0] * self.feature_size[1]
        if cells <= expected:
            return ''
        return (
            f'. It has {cells} cells, an image token each, where neck.feature_size='
            f'{self.feature_size} has {expected}: take the last stage of the backbone (for an '
            f'HRNet backbone=dict(type=FusedHRNet, width={x.shape[1]}) and neck.in_channels=2048), '
            'or set feature_size if this is meant'
        )

    def _run(
        self,
        transformer: Transformer,
        cam_token: Tensor,
        image: Tensor,
        tokens: Tensor,
        position: Tensor,
        first_self_attention: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        encoded = transformer.encoder(torch.cat((cam_token, image), dim=1), position)
        cam_token, image = encoded[:, :1], encoded[:, 1:]
        tokens = transformer.decoder(
            tokens, image, position[1:], self.attention_mask, first_self_attention
        )
        return cam_token, image, tokens

    def _learned_tokens(self) -> Tensor:
        """Joint and vertex tokens, the same for every image. (1, J + V, 512)."""
        return torch.cat((self.joint_token_embed.weight, self.vertex_token_embed.weight))[None]

    def _attend_once(self) -> Tensor | None:
        """First self-attention of the first decoder, (1, J + V, 512); None in training.

        Exact, because there is no dropout in evaluation. Kept only without gradients, as long as
        the weights it comes from are the same tensors in the same version; a change through
        ``.data``, which has no version, is seen when ``train()`` or ``eval()`` is called.
        """
        if self.training:
            return None
        layer: Any = self.transformer_1.decoder.layers[0]
        if torch.compiler.is_compiling():  # the weights are constants of the graph
            if self._first_attention is not None:
                return self._first_attention[1]
            return layer.attend_self(self._learned_tokens(), self.attention_mask)
        key = self._first_key(layer)
        if torch.is_grad_enabled() or key is None:
            return layer.attend_self(self._learned_tokens(), self.attention_mask)
        if self._first_attention is None or self._first_attention[0] != key:
            attended = layer.attend_self(self._learned_tokens(), self.attention_mask)
            if torch.is_inference_mode_enabled():  # could not be used outside of it
                return attended
            # held, so that nothing else can come to lie at the addresses of the key
            sources = [weight.detach() for weight in self._first_sources(layer)]
            self._first_attention = (key, attended, sources)
        return self._first_attention[1]

    def _first_sources(self, layer: Any) -> list[Tensor]:
        """Weights that the kept attention comes from."""
        return [self.joint_token_embed.weight, self.vertex_token_embed.weight,
                *layer.norm1.parameters(), *layer.self_attn.parameters()]  # fmt: skip

    def _first_key(self, layer: Any) -> tuple | None:
        """What the kept attention depends on; None if changes could not be seen."""
        device_type = self.attention_mask.device.type
        weights = self._first_sources(layer)
        if any(weight.is_inference() for weight in weights):
            return None
        versions = tuple((weight.data_ptr(), weight._version, weight.dtype) for weight in weights)
        return (
            torch.is_autocast_enabled(device_type),
            torch.get_autocast_dtype(device_type),
            versions,
        )

    def _positions_of(self, grid: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Position encodings for the size of a feature map, (1 + HW, C) each."""
        height, width = grid
        if (height, width) == self._grid:
            return self.position_1, self.position_2
        first, second = (
            _positions(height, width, dim).to(known.device, known.dtype)
            for dim, known in zip(self.embed_dims, (self.position_1, self.position_2), strict=True)
        )
        return first, second

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Run the first transformer, which has nine tenths of the work, in another type.

        The second stays as it is: with both in bfloat16 the vertices of a trained network moved
        2.4 mm on average, with the first alone 0.8 mm.

        Args:
            dtype: Type of the feature map that will come.
        """
        first = (self.conv_1x1, self.cam_token_embed, self.joint_token_embed,
                 self.vertex_token_embed, self.transformer_1)  # fmt: skip
        for part in first:
            part.to(dtype)
        self.position_1 = self.position_1.to(dtype)
        self._first_attention = None

    def train(self, mode: bool = True) -> 'FastMETRONeck':
        """Switch between training and evaluation; forgets what was kept of the tokens."""
        self._first_attention = None
        return super().train(mode)


def _last(feats: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The deepest map of a backbone."""
    return feats[-1] if isinstance(feats, (tuple, list)) else feats


def _positions(height: int, width: int, dim: int) -> Tensor:
    """Position encoding of [camera, image tokens]; the camera token has no place. (1 + HW, C)."""
    grid = sine_position_encoding(height, width, dim)
    return torch.cat((grid.new_zeros(1, dim), grid))


def _smoothed(tokens: Tensor, adjacency) -> Tensor:
    """Tokens (V, C) averaged over neighbours time and again, each channel of deviation 1 again."""
    nearby = adjacency.astype(np.float64) + sparse.eye(adjacency.shape[0])
    nearby = sparse.diags(1 / np.asarray(nearby.sum(axis=1)).ravel()) @ nearby
    smooth = tokens.double().numpy()
    for _ in range(SMOOTHING_ROUNDS):
        smooth = nearby @ smooth
    return torch.from_numpy((smooth - smooth.mean(axis=0)) / smooth.std(axis=0))


def _attention_mask(adjacency, num_joints: int) -> Tensor:
    """True where a token may look: joints see all; a vertex sees joints, itself, its neighbours."""
    num_vertices = adjacency.shape[0]
    allowed = np.ones((num_joints + num_vertices,) * 2, dtype=bool)
    allowed[num_joints:, num_joints:] = adjacency.toarray().astype(bool)
    allowed[num_joints:, num_joints:] |= np.eye(num_vertices, dtype=bool)
    return torch.from_numpy(allowed)
