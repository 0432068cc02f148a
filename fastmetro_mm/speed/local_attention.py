# SPDX-License-Identifier: Apache-2.0
"""Masked self-attention that is computed where the mask allows it, and nowhere else.

In the decoder a vertex looks at all joints and at its neighbours: some 21 of 445 tokens. Dense
attention computes all pairs and throws nineteen twentieths of them away. Here vertices that lie
together form patches of a few queries; what any of them may look at is gathered once a patch, and
small dense products do the rest. The same numbers up to rounding, an eighth of the pairs.

For graphs only, whose libraries compute every pair: PyTorch's fused attention is as fast.

(The mask is FastMETRO's; patches in its place are ours.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastmetro_mm.models.layers.transformer import Attention
from fastmetro_mm.models.necks import FastMETRONeck

PATCH = 16
"""Queries of a patch.

On the free body 8 make a fifth fewer pairs in twice as many products, 32 two thirds more pairs;
none but 16 was timed.
"""
_FORBIDDEN = -1e9  # finite: what no runtime turns into NaN


def mesh_patches(allowed: np.ndarray, size: int) -> list[tuple[list[int], list[int]]]:
    """Cut queries into patches that look at much the same.

    A patch grows from the query with the fewest free neighbours by the neighbour that brings the
    least that is new to look at.

    Args:
        allowed: Where a query may look. (N, N) bool
        size: Most queries of a patch.

    Returns:
        Queries and what they look at together, of every patch. Each query is in one patch.
    """
    sees = [frozenset(np.flatnonzero(row).tolist()) for row in allowed]
    free, patches = set(range(len(sees))), []
    while free:
        start = min(free, key=lambda query: (len(sees[query] & free), query))
        members, union = [start], set(sees[start])
        free.discard(start)
        while free and len(members) < size:
            nearest = min(
                (union & free) or free,
                key=lambda query: (len(sees[query] - union), len(sees[query] & free), query),
            )
            members.append(nearest)
            union |= sees[nearest]
            free.discard(nearest)
        patches.append((members, sorted(union)))
    return patches


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
        allowed = mask.cpu().numpy()
        # joints: all of their row and of their column
        self.everywhere = int(np.argmin(np.append(allowed.all(1) & allowed.all(0), False)))
        first = self.everywhere
        patches = mesh_patches(allowed[first:, first:], PATCH)
        widest = max(len(seen) for _, seen in patches)
        self.patches, self.keys_of_patch = len(patches), first + widest
        queries = np.zeros((len(patches), PATCH), np.int64)
        keys = np.zeros((len(patches), first + widest), np.int64)
        bias = np.full((len(patches), PATCH, first + widest), _FORBIDDEN, np.float32)
        places = np.zeros(len(allowed) - first, np.int64)
        keys[:, :first] = np.arange(first)
        for number, (members, seen) in enumerate(patches):
            # missing ones are filled up with the first: computed, and never read
            queries[number] = first + np.array(members + members[:1] * (PATCH - len(members)))
            keys[number, first : first + len(seen)] = first + np.array(seen)
            looks = allowed[np.ix_(queries[number], keys[number, : first + len(seen)])]
            bias[number, :, : first + len(seen)][looks] = 0.0
            places[members] = number * PATCH + np.arange(len(members))
        buffers = dict(queries=queries.ravel(), keys=keys.ravel(), places=places)
        for name, array in buffers.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)
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
