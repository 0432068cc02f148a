# SPDX-License-Identifier: Apache-2.0
"""Masked self-attention that is computed where the mask allows it, and nowhere else.

See ``neighbour_patches.py``. For graphs only, whose libraries compute every pair: PyTorch's fused
attention is as fast. For training there is ``near_attention.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastmetro_mm.models.layers.transformer import Attention
from fastmetro_mm.models.necks import FastMETRONeck
from fastmetro_mm.speed.neighbour_patches import patches_of

_FORBIDDEN = -1e9  # finite: what no runtime turns into NaN


class ScaledAttention(Attention):
    """Attention without a mask in as few operations as there are, for inference.

    Args:
        attention: What it replaces; the scale of the scores is multiplied into its weights.
    """

    def __init__(self, attention: Attention) -> None:
        nn.Module.__init__(self)
        self.num_heads, self.dropout = attention.num_heads, 0.0
        self.out_proj = attention.out_proj
        rows, dim = attention.in_proj_weight.shape
        scale = attention.in_proj_weight.new_ones(rows)
        scale[:dim] = (dim // self.num_heads) ** -0.5  # of the queries
        self.in_proj_weight = nn.Parameter(attention.in_proj_weight.detach() * scale[:, None])
        self.in_proj_bias = nn.Parameter(attention.in_proj_bias.detach() * scale)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, batch: int) -> Tensor:
        """See :meth:`Attention.attend`; what comes once is not repeated."""
        return (q @ k.transpose(2, 3)).softmax(dim=-1) @ v


class LocalAttention(ScaledAttention):
    """Self-attention of tokens under one known mask, for inference in float32.

    Args:
        attention: What it replaces.
        mask: True where attention is allowed. The first queries look everywhere, and everybody
            looks at them. (T, T)
    """

    queries: Tensor
    keys: Tensor
    places: Tensor
    bias: Tensor

    def __init__(self, attention: Attention, mask: Tensor) -> None:
        super().__init__(attention)
        cut = patches_of(mask.cpu().numpy())
        self.everywhere, (self.patches, self.keys_of_patch) = cut.joints, cut.keys.shape
        for name in ('queries', 'keys', 'places'):
            rows = torch.from_numpy(getattr(cut, name)).flatten()
            self.register_buffer(name, rows, persistent=False)
        bias = np.where(cut.allowed, 0.0, _FORBIDDEN).astype(np.float32)
        # (1, patches, 1, queries, keys)
        self.register_buffer('bias', torch.from_numpy(bias)[None, :, None], persistent=False)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, batch: int = 1
    ) -> Tensor:
        """See :meth:`Attention.forward`; the mask is that of the constructor.

        Only ``query`` is read: all three are the same tokens.
        """
        q, k, v = F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=2)
        first = self._split(q[:, : self.everywhere])
        joints = self.attend(first, self._split(k), self._split(v), None, batch)
        joints = joints.transpose(1, 2).flatten(2)  # (B, J, C)
        q, k, v = (
            self._patches(q, self.queries),
            self._patches(k, self.keys),
            self._patches(v, self.keys),
        )
        weights = (q @ k.transpose(3, 4) + self.bias).softmax(dim=-1)
        found = (weights @ v).transpose(2, 3).flatten(3).flatten(1, 2)  # (B, patches * queries, C)
        out = self.out_proj(torch.cat((joints, found.index_select(1, self.places)), dim=1))
        return out.expand(max(batch, out.shape[0]), -1, -1)  # len() would fix it in an export

    def _patches(self, x: Tensor, rows: Tensor) -> Tensor:
        """(B, T, C) to (B, patches, heads, rows of a patch, C / heads)."""
        x = x.index_select(1, rows).unflatten(1, (self.patches, -1))
        return x.unflatten(3, (self.num_heads, -1)).transpose(2, 3)


def attend_locally(neck: nn.Module) -> None:
    """Let a neck's decoders look only where their mask allows it, in place, for inference.

    Args:
        neck: Any; nothing happens to one that is no ``FastMETRONeck``.
    """
    if not isinstance(neck, FastMETRONeck):
        return
    layer: Any
    for transformer in (neck.transformer_1, neck.transformer_2):
        for layer in transformer.encoder.layers:
            layer.self_attn = ScaledAttention(layer.self_attn)
        for layer in transformer.decoder.layers:
            layer.multihead_attn = ScaledAttention(layer.multihead_attn)
            local = LocalAttention(layer.self_attn, neck.attention_mask)
            layer.self_attn = local.to(neck.attention_mask.device)
    neck.train(neck.training)  # forgets what was kept of the tokens
