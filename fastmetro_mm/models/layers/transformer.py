# SPDX-License-Identifier: Apache-2.0
"""Encoder-decoder of FastMETRO.

Differences from DETR's transformer, all from the official FastMETRO code:

* pre-norm layers, with a final norm after the encoder and after the decoder;
* the encoder sees a camera token in front of the image tokens; the position encoding is added to
  queries and keys of the image tokens only;
* the decoder's target is the joint and vertex tokens themselves (no separate query position), its
  self-attention runs under the adjacency mask, and the camera token is not part of its memory.

What is ours: batch-first tensors, fused attention, no padding masks (they were all false) and no
added zeros. Parameters keep the names of ``nn.MultiheadAttention``, so that released weights map
one to one. Everything here is plain PyTorch; ``fastmetro_mm.speed`` exchanges the classes of these
modules for ones that override :meth:`Attention.project`, :meth:`Attention.attend` and
``feedforward``.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention by ``scaled_dot_product_attention``.

    Args:
        dim: Channels of queries, keys and values.
        num_heads: Heads; must divide ``dim``.
        dropout: Dropout of the attention weights while training.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, batch: int = 1
    ) -> Tensor:
        """Attend from ``query`` to ``key`` and ``value``.

        What is the same for every sample may come once, with a batch size of 1: it is then
        projected once.

        Args:
            query: (B, Q, C) or (1, Q, C)
            key: (B, K, C) or (1, K, C)
            value: (B, K, C) or (1, K, C)
            mask: True where attention is allowed. (Q, K)
            batch: B where all three come once; that of the inputs if not given.

        Returns:
            (B, Q, C)
        """
        batch = max(batch, query.shape[0], key.shape[0], value.shape[0])
        q, k, v = (self._split(x) for x in self.project(query, key, value))
        out = self.attend(q, k, v, mask, batch)
        return self.out_proj(out.transpose(1, 2).flatten(2))  # (B, Q, C)

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values before they are split into heads."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = map(F.linear, (query, key, value), weights, biases)
        return q, k, v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, batch: int) -> Tensor:
        """Scaled dot-product attention with dropout of its weights.

        Args:
            q: (B, heads, Q, C) or (1, heads, Q, C)
            k: (B, heads, K, C) or (1, heads, K, C)
            v: (B, heads, K, C) or (1, heads, K, C)
            mask: True where attention is allowed. (Q, K)
            batch: B.

        Returns:
            (B, heads, Q, C)
        """
        q, k, v = (x.expand(batch, -1, -1, -1) for x in (q, k, v))
        probability = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=probability)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, Q, C / heads)


class EncoderLayer(nn.Module):
    """Self-attention over [camera, image tokens], then a feed-forward net.

    Args:
        dim: Channels.
        num_heads: Attention heads.
        feedforward_dim: Hidden channels of the feed-forward net.
        dropout: Dropout of attention weights, hidden channels and residuals.
    """

    def __init__(self, dim: int, num_heads: int, feedforward_dim: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(dim, num_heads, dropout)
        self.linear1 = nn.Linear(dim, feedforward_dim)
        self.linear2 = nn.Linear(feedforward_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, position: Tensor) -> Tensor:
        """Args: tokens (B, 1 + HW, C); position (1 + HW, C), zero for the camera token."""
        normed = self.norm1(tokens)
        placed = normed + position
        tokens = tokens + self.dropout(self.self_attn(placed, placed, normed))
        return tokens + self.dropout(self.feedforward(self.norm2(tokens)))

    def feedforward(self, x: Tensor) -> Tensor:
        """Args: x (B, T, C). Returns (B, T, C)."""
        return self.linear2(self.dropout(F.relu(self.linear1(x), inplace=True)))


class DecoderLayer(nn.Module):
    """Masked self-attention of joint and vertex tokens, a look at the image, a feed-forward net.

    Args:
        dim: Channels.
        num_heads: Attention heads.
        feedforward_dim: Hidden channels of the feed-forward net.
        dropout: Dropout of attention weights, hidden channels and residuals.
    """

    def __init__(self, dim: int, num_heads: int, feedforward_dim: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(dim, num_heads, dropout)
        self.multihead_attn = Attention(dim, num_heads, dropout)
        self.linear1 = nn.Linear(dim, feedforward_dim)
        self.linear2 = nn.Linear(feedforward_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def attend_self(self, tokens: Tensor, mask: Tensor, batch: int = 1) -> Tensor:
        """First third of the layer.

        Args:
            tokens: (B, T, C), or (1, T, C) where they are the same for every sample.
            mask: True where attention is allowed. (T, T)
            batch: B of the result, for tokens that come once.

        Returns:
            (B, T, C)
        """
        normed = self.norm1(tokens)
        return tokens + self.dropout(self.self_attn(normed, normed, normed, mask, batch))

    def attend_image(self, tokens: Tensor, memory: Tensor, memory_key: Tensor) -> Tensor:
        """The rest of the layer.

        Args:
            tokens: (B, T, C), or (1, T, C) where they are the same for every sample.
            memory: (B, HW, C)
            memory_key: (B, HW, C)

        Returns:
            (B, T, C)
        """
        tokens = tokens + self.dropout(self.multihead_attn(self.norm2(tokens), memory_key, memory))
        return tokens + self.dropout(self.feedforward(self.norm3(tokens)))

    def feedforward(self, x: Tensor) -> Tensor:
        """Args: x (B, T, C). Returns (B, T, C)."""
        return self.linear2(self.dropout(F.relu(self.linear1(x), inplace=True)))


class Encoder(nn.Module):
    """A stack of encoder layers with a final norm. Args as :class:`EncoderLayer`."""

    def __init__(
        self, dim: int, num_heads: int, feedforward_dim: int, dropout: float, num_layers: int
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(dim, num_heads, feedforward_dim, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, position: Tensor) -> Tensor:
        """Args: tokens (B, 1 + HW, C); position (1 + HW, C). Returns (B, 1 + HW, C)."""
        for layer in self.layers:
            tokens = layer(tokens, position)
        return self.norm(tokens)


class Decoder(nn.Module):
    """A stack of decoder layers with a final norm. Args as :class:`DecoderLayer`."""

    def __init__(
        self, dim: int, num_heads: int, feedforward_dim: int, dropout: float, num_layers: int
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(dim, num_heads, feedforward_dim, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(
        self,
        tokens: Tensor,
        memory: Tensor,
        position: Tensor,
        mask: Tensor,
        first_self_attention: Tensor | None = None,
    ) -> Tensor:
        """Decode joint and vertex tokens.

        Args:
            tokens: (B, T, C), or (1, T, C) where they are the same for every sample.
            memory: Image tokens as they left the encoder's norm. (B, HW, C)
            position: Position encoding of the image tokens, added to keys only. (HW, C)
            mask: True where attention is allowed. (T, T)
            first_self_attention: Result of the first layer's self-attention where it is already
                known; ``tokens`` is then not used. (1, T, C)

        Returns:
            (B, T, C)
        """
        memory_key = memory + position
        layer: Any
        for index, layer in enumerate(self.layers):
            if index == 0 and first_self_attention is not None:
                tokens = first_self_attention
            else:
                tokens = layer.attend_self(tokens, mask, memory.shape[0])
            tokens = layer.attend_image(tokens, memory, memory_key)
        return self.norm(tokens)


class Transformer(nn.Module):
    """Encoder and decoder of one width.

    Args:
        dim: Channels.
        num_heads: Attention heads.
        feedforward_dim: Hidden channels of the feed-forward nets.
        dropout: Dropout.
        num_layers: Layers of the encoder and of the decoder each.
    """

    def __init__(
        self, dim: int, num_heads: int, feedforward_dim: int, dropout: float, num_layers: int
    ) -> None:
        super().__init__()
        self.encoder = Encoder(dim, num_heads, feedforward_dim, dropout, num_layers)
        self.decoder = Decoder(dim, num_heads, feedforward_dim, dropout, num_layers)
        # The official code draws every matrix of the transformer Xavier-uniform; for the stacked
        # in_proj_weight this is the (3C, C) shape, a third of what separate matrices would get.
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
