# SPDX-License-Identifier: Apache-2.0
"""The two encoder-decoder transformers of FastMETRO (Cho et al., ECCV 2022)."""

import numpy as np
import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.body.mesh_body import MeshBody, build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.layers.position_encoding import sine_position_encoding
from fastmetro_mm.models.layers.transformer import Transformer
from fastmetro_mm.structures import TokenFeatures


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
            position encoding is then computed when it first comes.
        init_cfg: See mmengine's ``BaseModule``.
    """

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
        self.transformer_1 = Transformer(wide, num_heads, feedforward_dims[0], dropout, num_layers)
        self.dim_reduce_enc_cam = nn.Linear(wide, narrow)
        self.dim_reduce_enc_img = nn.Linear(wide, narrow)
        self.dim_reduce_dec = nn.Linear(wide, narrow)
        self.transformer_2 = Transformer(
            narrow, num_heads, feedforward_dims[1], dropout, num_layers
        )

        mask = _attention_mask(assets.adjacency[-1], num_joints)
        self.register_buffer('attention_mask', mask, persistent=False)
        self.register_buffer('position_1', torch.empty(0), persistent=False)
        self.register_buffer('position_2', torch.empty(0), persistent=False)
        self._set_grid(*feature_size)
        self._first_attention: tuple[tuple, Tensor] | None = None

    def forward(self, feats: Tensor | tuple[Tensor, ...]) -> TokenFeatures:
        """Run both transformers.

        Args:
            feats: Feature map, or a tuple whose last entry is used. (B, in_channels, H, W)

        Returns:
            Tokens of the second width.

        Raises:
            ValueError: If the map has other than ``in_channels`` channels.
        """
        x = feats[-1] if isinstance(feats, (tuple, list)) else feats
        if x.shape[1] != self.conv_1x1.in_channels:
            raise ConfigError(
                f'FastMETRONeck expects a feature map of {self.conv_1x1.in_channels} channels but '
                f'got {tuple(x.shape)}: set neck.in_channels to what the backbone returns last'
            )
        if tuple(x.shape[2:]) != self._grid:
            self._set_grid(*x.shape[2:])
        batch = x.shape[0]

        image = self.conv_1x1(x).flatten(2).transpose(1, 2)  # (B, HW, 512)
        camera = self.cam_token_embed.weight.expand(batch, 1, -1)  # (B, 1, 512)
        camera, image, tokens = self._run(
            self.transformer_1,
            camera,
            image,
            self._learned_tokens(),
            self.position_1,
            self._attend_once(),
        )
        # The two transformers may differ in precision, see `lower_precision`.
        camera, image, tokens = (x.to(self.position_2.dtype) for x in (camera, image, tokens))
        camera = self.dim_reduce_enc_cam(camera)  # (B, 1, 128)
        image = self.dim_reduce_enc_img(image)  # (B, HW, 128)
        tokens = self.dim_reduce_dec(tokens)  # (B, J + V, 128)
        camera, _, tokens = self._run(
            self.transformer_2, camera, image, tokens, self.position_2, None
        )
        return TokenFeatures(
            camera=camera[:, 0],
            joints=tokens[:, : self.num_joints],
            vertices=tokens[:, self.num_joints :],
        )

    def _run(
        self,
        transformer: Transformer,
        camera: Tensor,
        image: Tensor,
        tokens: Tensor,
        position: Tensor,
        first_self_attention: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        encoded = transformer.encoder(torch.cat((camera, image), dim=1), position)
        camera, image = encoded[:, :1], encoded[:, 1:]
        tokens = transformer.decoder(
            tokens, image, position[1:], self.attention_mask, first_self_attention
        )
        return camera, image, tokens

    def _learned_tokens(self) -> Tensor:
        """Joint and vertex tokens, the same for every image. (1, J + V, 512)."""
        return torch.cat((self.joint_token_embed.weight, self.vertex_token_embed.weight))[None]

    def _attend_once(self) -> Tensor | None:
        """First self-attention of the first decoder, (1, J + V, 512); None in training.

        Exact, because there is no dropout in evaluation. Kept only without gradients; dropped by
        ``train()``/``eval()``, by loading weights and by moving the module.
        """
        if self.training:
            return None
        device_type = self.attention_mask.device.type
        key = (torch.is_autocast_enabled(device_type), torch.get_autocast_dtype(device_type))
        keep = not torch.is_grad_enabled()
        if keep and self._first_attention is not None and self._first_attention[0] == key:
            return self._first_attention[1]
        layer = self.transformer_1.decoder.layers[0]
        attended = layer.attend_self(self._learned_tokens(), self.attention_mask)
        if keep and not torch.is_inference_mode_enabled():
            self._first_attention = (key, attended)
        return attended

    @torch.no_grad()
    def keep_first_attention(self) -> None:
        """Compute now what evaluation keeps of the learned tokens."""
        self._attend_once()

    def _set_grid(self, height: int, width: int) -> None:
        device = self.attention_mask.device
        for name, dim in zip(('position_1', 'position_2'), self.embed_dims, strict=True):
            grid = sine_position_encoding(height, width, dim)
            camera = grid.new_zeros(1, dim)  # the camera token has no place in the image
            dtype = getattr(self, name).dtype
            setattr(self, name, torch.cat((camera, grid)).to(device, dtype))
        self._grid = (height, width)

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

    def _apply(self, fn, recurse: bool = True):
        self._first_attention = None
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        self._first_attention = None
        super()._load_from_state_dict(*args, **kwargs)


def _attention_mask(adjacency, num_joints: int) -> Tensor:
    """True where a token may look: joints see all; a vertex sees joints, itself, its neighbours."""
    num_vertices = adjacency.shape[0]
    allowed = np.ones((num_joints + num_vertices,) * 2, dtype=bool)
    allowed[num_joints:, num_joints:] = adjacency.toarray().astype(bool)
    allowed[num_joints:, num_joints:] |= np.eye(num_vertices, dtype=bool)
    return torch.from_numpy(allowed)
