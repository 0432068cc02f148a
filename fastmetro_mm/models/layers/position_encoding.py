# SPDX-License-Identifier: Apache-2.0
"""Sine position encoding of an image grid."""

import math

import torch
from torch import Tensor


def sine_position_encoding(
    height: int, width: int, dim: int, temperature: float = 10000.0, eps: float = 1e-6
) -> Tensor:
    """Encode the cells of a grid by sines and cosines of their row and column.

    The form is DETR's, as FastMETRO uses it: positions count from 1 and are normalised to
    ``2 * pi``; the first half of the channels encodes y, the second x; sines and cosines
    alternate.

    Args:
        height: Rows of the grid.
        width: Columns of the grid.
        dim: Channels; a multiple of 4.
        temperature: Ratio between the longest and the shortest wave.
        eps: Added to the last position before dividing by it.

    Returns:
        One row a cell, in row-major order. (height * width, dim)
    """
    half = dim // 2
    channel = torch.arange(half, dtype=torch.float32)
    wavelength = temperature ** (2 * torch.div(channel, 2, rounding_mode='floor') / half)

    def encode(count: int) -> Tensor:
        position = torch.arange(1, count + 1, dtype=torch.float32)
        position = position / (position[-1] + eps) * (2 * math.pi)
        angle = position[:, None] / wavelength  # (count, half)
        return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=2).flatten(1)

    rows = encode(height)[:, None].expand(height, width, half)
    columns = encode(width)[None].expand(height, width, half)
    return torch.cat((rows, columns), dim=2).reshape(height * width, dim)
