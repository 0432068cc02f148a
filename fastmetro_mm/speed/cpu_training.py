# SPDX-License-Identifier: Apache-2.0
"""Linear layers, dropout and attention that train faster on a CPU, with the same mathematics.

Three things of PyTorch's CPU path cost a third of a training step (measured, two cores of an AMD
EPYC): float32 products go through MKL, which leaves that processor's 512-bit instructions unused
(195 instead of 450 GFLOP/s; on Intel's own they stay there); a dropout mask takes 5 ns an element;
attention with dropout keeps five arrays of the size of its weights for the backward pass. And the
decoder's attention under its mask is computed among neighbours only. Elsewhere - on a GPU, without
gradients, while a graph is compiled or exported - PyTorch's own operators run.

:func:`train_on_cpu` gives the modules of a network these operators by exchanging their classes, so
that no module, parameter or name changes; :func:`train_plainly` is the way back.
"""

from __future__ import annotations

import math
import platform
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fastmetro_mm.models.layers.transformer import Attention, DecoderLayer, EncoderLayer
from fastmetro_mm.speed.near_attention import AttendNear
from fastmetro_mm.speed.neighbour_patches import Patches, patches_of
from fastmetro_mm.speed.processor import cpuinfo

NEAR_SHARE = 0.3
"""Attention goes by patches where these have at most this share of all pairs."""
_LEVELS = 2**16  # dropout probabilities are multiples of 1 / 65536


def trains_on_cpu(x: Tensor) -> bool:
    """Whether these operators serve a tensor."""
    # neither torch.compile nor torch.jit.trace (FLOP counters, exporters) knows oneDNN's operators
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return x.device.type == 'cpu' and torch.is_grad_enabled() and not recorded


def _can_multiply(x: Tensor, weight: Tensor) -> bool:
    return (
        trains_on_cpu(x)
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled('cpu')
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, '_linear_pointwise')
        and not mkl_is_fast()
    )


@cache
def mkl_is_fast() -> bool:
    """Whether this is a processor of MKL's maker: of others it leaves the best instructions unused.

    Measured on a Xeon: products 1.05 to 1.1 times as fast as oneDNN's, those for the gradients of
    weights, which oneDNN wants transposed, 1.3 to 2 times.
    """
    maker = 'GenuineIntel' in (cpuinfo() or platform.processor())
    return maker and torch.backends.mkl.is_available()


def _times(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias`` of matrices through oneDNN, whatever their strides."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, 'none', [], '')


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _times(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        for_x = _times(gradient, weight.T) if ctx.needs_input_grad[0] else None
        return for_x, _times(gradient.T, x.T), gradient.sum(dim=0)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Linear layer.

    Args:
        x: (..., in)
        weight: (out, in)
        bias: (out,)

    Returns:
        (..., out)
    """
    if not _can_multiply(x, weight):
        return F.linear(x, weight, bias)
    return _Linear.apply(x.reshape(-1, x.shape[-1]), weight, bias).view(*x.shape[:-1], -1)


class Linear(nn.Linear):
    """``nn.Linear`` through :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (..., in). Returns (..., out)."""
        return linear(x, self.weight, self.bias)


def draw_dropped(shape: tuple[int, ...], probability: float) -> tuple[Tensor, float]:
    """Draw which elements dropout drops, four from every 64 random bits.

    Args:
        shape: Of the mask.
        probability: Of dropping; rounded to a multiple of 1 / 65536.

    Returns:
        The mask, True where dropped, and the factor of what is kept.
    """
    count = math.prod(shape)
    words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    level = round(probability * _LEVELS)
    dropped = words.view(torch.int16)[:count].view(shape) < level - _LEVELS // 2
    return dropped, _LEVELS / (_LEVELS - level)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, probability: float) -> Tensor:
        dropped, ctx.factor = draw_dropped(x.shape, probability)
        ctx.save_for_backward(dropped)
        return (x * ctx.factor).masked_fill_(dropped, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (dropped,) = ctx.saved_tensors
        return (gradient * ctx.factor).masked_fill_(dropped, 0), None


class Dropout(nn.Dropout):
    """``nn.Dropout`` with a cheaper mask on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (...). Returns (...)."""
        if self.training and 0 < self.p < 1 and trains_on_cpu(x):
            return _Dropout.apply(x, self.p)
        return super().forward(x)


class _ReluDropout(torch.autograd.Function):
    """Both at once: the result tells where either blocked, so that nothing else is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, probability: float) -> Tensor:
        dropped, ctx.factor = draw_dropped(x.shape, probability)
        out = (x * ctx.factor).relu_().masked_fill_(dropped, 0)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (out,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(gradient, out, 0).mul_(ctx.factor), None


def relu_dropout(x: Tensor, dropout: nn.Dropout) -> Tensor:
    """ReLU, then dropout.

    Args:
        x: Any shape; may be overwritten.
        dropout: The dropout.

    Returns:
        As ``x``.
    """
    if dropout.training and 0 < dropout.p < 1 and trains_on_cpu(x):
        return _ReluDropout.apply(x, dropout.p)
    return dropout(F.relu(x, inplace=True))


def _weights(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    if mask is not None:
        scores.masked_fill_(~mask, -torch.inf)
    return torch.softmax(scores, dim=-1)


def _drop(weights: Tensor, dropped: Tensor) -> Tensor:
    """Zero what is dropped, in place unless the weights are shared by the batch."""
    if weights.shape == dropped.shape:
        return weights.masked_fill_(dropped, 0)
    return weights.masked_fill(dropped, 0)


class _Attend(torch.autograd.Function):
    """Keeps queries, keys, values and one mask; the weights are computed again backwards."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        probability: float,
        batch: int,
    ) -> Tensor:
        dropped, ctx.factor = draw_dropped((batch, *q.shape[1:3], k.shape[2]), probability)
        ctx.save_for_backward(q, k, v, mask, dropped)
        return (_drop(_weights(q, k, mask), dropped) @ v).mul_(ctx.factor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, mask, dropped = ctx.saved_tensors
        weights = _weights(q, k, mask)
        gradient = gradient * ctx.factor
        for_weights = (gradient @ v.mT).masked_fill_(dropped, 0)
        for_weights = for_weights.sum_to_size(weights.shape)
        # derivative of softmax
        for_scores = torch.ops.aten._softmax_backward_data(for_weights, weights, -1, weights.dtype)
        scale = q.shape[-1] ** -0.5
        for_q = (for_scores @ k).sum_to_size(q.shape) * scale
        for_k = (for_scores.mT @ (q * scale)).sum_to_size(k.shape)
        for_v = (_drop(weights, dropped).mT @ gradient).sum_to_size(v.shape)
        return for_q, for_k, for_v, None, None, None


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, probability: float, batch: int
) -> Tensor:
    """Scaled dot-product attention with dropout of its weights.

    Args:
        q: (B, heads, Q, C) or (1, heads, Q, C)
        k: (B, heads, K, C) or (1, heads, K, C)
        v: (B, heads, K, C) or (1, heads, K, C)
        mask: True where attention is allowed; no row may be all False. (Q, K)
        probability: Of dropping a weight.
        batch: B.

    Returns:
        (B, heads, Q, C)
    """
    if 0 < probability < 1 and trains_on_cpu(q):
        with torch.autocast('cpu', enabled=False):
            return _Attend.apply(q, k, v, mask, probability, batch)
    q, k, v = (x.expand(batch, -1, -1, -1) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=probability)


def attend_near(
    q: Tensor, k: Tensor, v: Tensor, cut: Patches, probability: float, batch: int
) -> Tensor:
    """As :func:`attend` while training, of tokens that look at themselves under one mask.

    Args:
        q: (B, heads, T, C) or (1, heads, T, C)
        k: As ``q``.
        v: As ``q``.
        cut: The mask, cut into patches.
        probability: Of dropping a weight.
        batch: B.

    Returns:
        (B, heads, T, C)
    """
    draw = partial(draw_dropped, probability=probability)
    with torch.autocast('cpu', enabled=False):
        joints = _Attend.apply(q[:, :, : cut.joints], k, v, None, probability, batch)
        return torch.cat((joints, AttendNear.apply(q, k, v, cut, batch, draw)), dim=2)


class CpuAttention(Attention):
    """``Attention`` through :func:`linear`, :func:`attend` and :func:`attend_near`."""

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values before they are split into heads."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = map(linear, (query, key, value), weights, biases)
        return q, k, v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, batch: int) -> Tensor:
        """As ``Attention.attend``."""
        probability = self.dropout if self.training else 0.0
        if mask is not None and 0 < probability < 1 and trains_on_cpu(q) and len(q) == len(k):
            cut = patches_of(mask.numpy())
            if cut.share < NEAR_SHARE:
                return attend_near(q, k, v, cut, probability, batch)
        return attend(q, k, v, mask, probability, batch)


class CpuEncoderLayer(EncoderLayer):
    """``EncoderLayer`` whose ReLU and dropout are one."""

    def feedforward(self, x: Tensor) -> Tensor:
        """Args: x (B, T, C). Returns (B, T, C)."""
        return self.linear2(relu_dropout(self.linear1(x), self.dropout))


class CpuDecoderLayer(DecoderLayer):
    """``DecoderLayer`` whose ReLU and dropout are one."""

    def feedforward(self, x: Tensor) -> Tensor:
        """Args: x (B, T, C). Returns (B, T, C)."""
        return self.linear2(relu_dropout(self.linear1(x), self.dropout))


_ON_CPU = {
    Attention: CpuAttention,
    EncoderLayer: CpuEncoderLayer,
    DecoderLayer: CpuDecoderLayer,
    nn.Linear: Linear,
    nn.Dropout: Dropout,
}
_PLAIN = {fast: plain for plain, fast in _ON_CPU.items()}


def train_on_cpu(network: nn.Module) -> None:
    """Give the parts of a network the operators of this file, in place.

    Args:
        network: ``TopdownMeshEstimator`` or a part of it; modules of other classes are left as
            they are.
    """
    _exchange(network, _ON_CPU)


def train_plainly(network: nn.Module) -> None:
    """Undo :func:`train_on_cpu`, in place.

    Args:
        network: What was given there.
    """
    _exchange(network, _PLAIN)


def _exchange(network: nn.Module, classes: dict[type, type]) -> None:
    for module in network.modules():
        module.__class__ = classes.get(type(module), type(module))
