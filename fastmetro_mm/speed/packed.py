# SPDX-License-Identifier: Apache-2.0
"""Convolutions and linear layers for inference on a CPU, through oneDNN with packed weights.

PyTorch reorders a convolution's weights at every call, which at batch 1 costs more than a third
of the time, and multiplies float32 matrices with MKL, which on AMD processors leaves the 512-bit
instructions unused (measured: 195 against 455 GFLOP/s on the same matrices). The operators used
here are those ``torch.compile`` emits for frozen networks: the weights are laid out once, and
ReLU and the residual sum are part of the convolution. They are not part of PyTorch's public
interface, so :func:`can_pack` looks before anybody leans on them.
"""

from __future__ import annotations

from typing import Any

import torch
from mmpose.models.backbones.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from fastmetro_mm.models.layers.transformer import Attention

_OPERATORS = ('_convolution_pointwise', '_linear_pointwise', '_reorder_convolution_weight',
              '_reorder_linear_weight')  # fmt: skip


def can_pack(device: torch.device) -> bool:
    """Whether this PyTorch has the operators, and the network is where they run."""
    return (
        device.type == 'cpu'
        and torch.backends.mkldnn.is_available()
        and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)
    )


def pack(module: nn.Module) -> None:
    """Replace convolutions, residual blocks, linear layers and attention in place.

    Residual blocks need their BatchNorms multiplied into the convolutions before; others are
    packed layer by layer. Weights are packed for the shape of the first batch, those of 1x1
    kernels also for the first of one image or of several; other shapes give the same results.

    Args:
        module: Backbone or neck, on the CPU, without gradients.
    """
    for name, child in module.named_children():
        block: Any = child
        if _is_plain_block(child):
            setattr(module, name, PackedBlock(block))
        elif isinstance(child, Attention):
            setattr(module, name, PackedAttention(child))
        elif type(child) is nn.Conv2d and child.padding_mode == 'zeros':
            setattr(module, name, PackedConv2d(block))
        elif isinstance(child, nn.Linear):
            setattr(module, name, PackedLinear(child.weight, child.bias))
        else:
            pack(child)


def _is_plain_block(module: Any) -> bool:
    # Not subclasses: those with squeeze-and-excitation, say, do more between the layers.
    if type(module) not in (BasicBlock, Bottleneck):
        return False
    norms = [module.norm1, module.norm2]
    if type(module) is Bottleneck:
        norms.append(module.norm3)
    return all(isinstance(norm, nn.Identity) for norm in norms)


class PackedConv2d(nn.Module):
    """A convolution, optionally with ReLU, or with a residual sum and ReLU after it.

    Args:
        conv: The convolution; it is left as it is.
        relu: Whether the result goes through a ReLU.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool = False) -> None:
        super().__init__()
        self.relu = relu
        self.geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        # Parts of the network ask these of their convolutions.
        self.in_channels, self.out_channels = conv.in_channels, conv.out_channels
        self.register_buffer('bias', conv.bias, persistent=False)
        self._plain: Any = conv.weight.detach()
        self._packed: dict[bool, Tensor] = {}
        self._by_batch = conv.kernel_size == conv.stride == (1, 1)

    def _weight_for(self, x: Tensor) -> Tensor:
        """Packed weights for a batch.

        oneDNN wants another layout for one image than for several where kernels are 1x1, and
        reads the wrong one at up to eleven times the cost (256 to 1,024 channels on 14x14).
        """
        alone = self._by_batch and len(x) == 1
        plain = self._plain  # before the question, because another thread may pack meanwhile
        if alone not in self._packed:
            if plain is None:
                plain = self._packed[not alone].to_dense()
            self._packed[alone] = torch.ops.mkldnn._reorder_convolution_weight(
                plain.contiguous(memory_format=torch.channels_last), *self.geometry, list(x.shape)
            )
            self._plain = None
        return self._packed[alone]

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Convolve.

        Args:
            x: (B, C, H, W)
            residual: Added to the result before the ReLU. (B, C', H', W')

        Returns:
            (B, C', H', W'), channels last.
        """
        x = x.contiguous(memory_format=torch.channels_last)
        weight = self._weight_for(x)
        if residual is not None:
            return torch.ops.mkldnn._convolution_pointwise.binary(
                x, residual, weight, self.bias, *self.geometry, 'add', 1.0, 'relu', [], ''
            )
        activation = 'relu' if self.relu else 'none'
        return torch.ops.mkldnn._convolution_pointwise(
            x, weight, self.bias, *self.geometry, activation, [], ''
        )


class PackedBlock(nn.Module):
    """A residual block of mmpose's ResNet and HRNet, its BatchNorms already multiplied in.

    Args:
        block: The block.
    """

    def __init__(self, block: BasicBlock | Bottleneck) -> None:
        super().__init__()
        convolutions: Any = [block.conv1, block.conv2]
        if isinstance(block, Bottleneck):
            convolutions.append(block.conv3)
        self.convolutions = nn.ModuleList(PackedConv2d(conv, relu=True) for conv in convolutions)
        self.downsample = block.downsample
        if self.downsample is not None:
            pack(self.downsample)

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (B, C, H, W). Returns (B, C', H', W')."""
        out = x
        for convolution in self.convolutions[:-1]:
            out = convolution(out)
        identity = x if self.downsample is None else self.downsample(x)
        return self.convolutions[-1](out, identity)


class PackedLinear(nn.Module):
    """A linear layer.

    Args:
        weight: (out, in)
        bias: (out,) or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer('bias', None if bias is None else bias.detach(), persistent=False)
        self._plain: Any = weight.detach()
        self._packed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (..., in). Returns (..., out)."""
        rows = x.reshape(-1, self.in_features)
        if self._packed is None:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(
                self._plain.contiguous(), rows.shape[0]
            )
            self._plain = None
        out = torch.ops.mkldnn._linear_pointwise(rows, self._packed, self.bias, 'none', [], '')
        return out.view(*x.shape[:-1], self.out_features)


class PackedAttention(Attention):
    """Attention whose four projections are packed.

    Args:
        attention: What it replaces.
    """

    def __init__(self, attention: Attention) -> None:
        nn.Module.__init__(self)
        self.num_heads, self.dropout = attention.num_heads, 0.0
        weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        self.projections = nn.ModuleList(map(PackedLinear, weights, biases))
        self.out_proj = PackedLinear(attention.out_proj.weight, attention.out_proj.bias)

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values before they are split into heads."""
        to_query, to_key, to_value = self.projections
        return to_query(query), to_key(key), to_value(value)
