# SPDX-License-Identifier: Apache-2.0
"""Training through attention that is computed where the mask allows it, and nowhere else.

See ``neighbour_patches.py``. Forbidden pairs have no weight, so dropping them or not is the same:
dropout has the distribution it has in dense attention.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fastmetro_mm.speed.neighbour_patches import PATCH, Patches


class _Rows:
    """Takes tokens out of all samples and heads, and adds up what comes back for them.

    Args:
        tokens: Which, for every patch. (P, R)
        shape: Of what they are taken from, (B, heads, T, C).
    """

    def __init__(self, tokens: Tensor, shape: torch.Size) -> None:
        samples, heads, count, self.channels = shape
        self.shape = (samples, count, heads, self.channels)
        sample = torch.arange(samples)[:, None, None, None]
        head = torch.arange(heads)[:, None]
        self.index = (sample * count + tokens[:, None]) * heads + head  # (B, P, heads, R)

    def take(self, x: Tensor) -> Tensor:
        """(B, heads, T, C) to (B, P, heads, R, C)."""
        rows = x.transpose(1, 2).reshape(-1, self.channels)
        return torch.nn.functional.embedding(self.index, rows)

    def add_up(self, x: Tensor) -> Tensor:
        """(B, P, heads, R, C) to (B, heads, T, C)."""
        # in float32 at least, because joints are in every patch
        rows = x.reshape(-1, self.channels).to(torch.promote_types(x.dtype, torch.float32))
        total = rows.new_zeros(self.shape)
        total.view(-1, self.channels).index_add_(0, self.index.flatten(), rows)
        return total.transpose(1, 2).to(x.dtype)


class AttendNear(torch.autograd.Function):
    """Attention of tokens other than joints; keeps queries, keys, values and one mask."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, cut: Patches, batch: int, draw: Any
    ) -> Tensor:
        """Attend.

        Args:
            ctx: What is kept.
            q: (B, heads, T, C) or (1, heads, T, C)
            k: As ``q``.
            v: As ``q``.
            cut: The patches.
            batch: B.
            draw: Gives which weights of a shape are dropped, and the factor of the others.

        Returns:
            (B, heads, T - joints, C)
        """
        queries, keys = (_Rows(torch.from_numpy(rows), q.shape) for rows in (cut.queries, cut.keys))
        forbidden = ~torch.from_numpy(cut.allowed)[:, None]  # (P, 1, queries, keys)
        weights = _weights(queries.take(q), keys.take(k), forbidden)
        dropped, ctx.factor = draw((batch, *weights.shape[1:]))
        ctx.rows, ctx.cut, ctx.forbidden = (queries, keys), cut, forbidden
        ctx.save_for_backward(q, k, v, dropped)
        out = weights.masked_fill(dropped, 0) @ keys.take(v)
        # (B, P, queries, heads, C) to (B, T - joints, heads, C)
        out = out.transpose(2, 3).flatten(1, 2).index_select(1, torch.from_numpy(cut.places))
        return out.mul_(ctx.factor).transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of ``q``, ``k`` and ``v``."""
        q, k, v, dropped = ctx.saved_tensors
        queries, keys = ctx.rows
        cut = ctx.cut
        others = torch.from_numpy(cut.queries - cut.joints)
        gradient = _Rows(others, gradient.shape).take(gradient)
        read = gradient.new_zeros(cut.queries.size)  # what fills up patches was not
        read[torch.from_numpy(cut.places)] = ctx.factor
        gradient *= read.view(-1, 1, PATCH, 1)
        near_q, near_k, near_v = queries.take(q), keys.take(k), keys.take(v)
        weights = _weights(near_q, near_k, ctx.forbidden)
        for_weights = (gradient @ near_v.mT).masked_fill_(dropped, 0).sum_to_size(weights.shape)
        # derivative of softmax
        for_scores = torch.ops.aten._softmax_backward_data(for_weights, weights, -1, weights.dtype)
        scale = q.shape[-1] ** -0.5
        for_q = queries.add_up((for_scores @ near_k).mul_(scale))
        for_k = keys.add_up(for_scores.mT @ (near_q * scale))
        for_v = weights.masked_fill(dropped, 0).mT @ gradient
        return for_q, for_k, keys.add_up(for_v.sum_to_size(near_v.shape)), None, None, None


def _weights(q: Tensor, k: Tensor, forbidden: Tensor) -> Tensor:
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    return torch.softmax(scores.masked_fill_(forbidden, -torch.inf), dim=-1)
