# SPDX-License-Identifier: Apache-2.0
"""The least time a network could take: operations and bytes over what the machine can do.

For every convolution, linear layer and attention the larger of two times counts: its operations
over the measured peak of matrix products, and the bytes it must at least move (input, weights,
output, once each) over the measured bandwidth. Everything else is taken as free.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fastmetro_mm.models.layers.transformer import Attention


@dataclass
class Machine:
    """What the processor does at best, measured.

    Attributes:
        float32: Operations a second in float32 products.
        bfloat16: The same in bfloat16.
        bandwidth: Bytes a second, reading and writing.
    """

    float32: float
    bfloat16: float
    bandwidth: float

    def seconds(self, layers: list[Layer], dtype: torch.dtype) -> float:
        """Floor of a list of layers."""
        peak = self.bfloat16 if dtype == torch.bfloat16 else self.float32
        size = torch.empty(0, dtype=dtype).element_size()
        return sum(
            max(layer.operations / peak, layer.numbers * size / self.bandwidth) for layer in layers
        )


@dataclass
class Layer:
    """Work of one layer.

    Attributes:
        operations: Multiplications and additions.
        numbers: Numbers moved.
    """

    operations: float
    numbers: float


def _best(work: Callable[[], object], rounds: int = 15) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@torch.no_grad()
def measure_machine() -> Machine:
    """Peaks of this machine with the threads PyTorch is set to."""
    size = 2048
    peaks = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        ways: list[Callable[[], object]] = [lambda a=a, b=b: a @ b]
        if hasattr(torch.ops.mkldnn, '_linear_pointwise') and torch.backends.mkldnn.is_available():
            ways.append(
                lambda a=a, b=b: torch.ops.mkldnn._linear_pointwise(a, b, None, 'none', [], '')
            )
        peaks[dtype] = 2 * size**3 / min(_best(way) for way in ways)
    source = torch.ones(2**26)  # 256 MB: no cache holds it
    target = torch.empty_like(source)
    bandwidth = 2 * source.numel() * 4 / _best(lambda: target.copy_(source), 7)
    return Machine(peaks[torch.float32], peaks[torch.bfloat16], bandwidth)


@torch.no_grad()
def count_layers(network: nn.Module, x: Tensor) -> list[Layer]:
    """Layers of one forward pass.

    Args:
        network: An estimator in evaluation mode, not accelerated.
        x: (B, 3, H, W)
    """
    layers: list[Layer] = []

    def seen(module: nn.Module, inputs: tuple, out: Tensor) -> None:
        if isinstance(module, Attention):
            query, key = inputs[0], inputs[1]
            batch = out.shape[0]
            width, rows, columns = query.shape[2], query.shape[1], key.shape[1]
            for tokens, repeated in ((query, 1), (key, 2)):  # values have the shape of keys
                count = tokens.shape[0] * tokens.shape[1] * repeated
                layers.append(Layer(2 * count * width**2, 2 * count * width + repeated * width**2))
            layers.append(
                Layer(4 * batch * rows * columns * width, 2 * batch * (rows + columns) * width)
            )
            return
        weight = module.weight
        operations = 2 * out.numel() * weight[0].numel()
        layers.append(Layer(operations, inputs[0].numel() + weight.numel() + out.numel()))

    handles = [
        module.register_forward_hook(seen)
        for module in network.modules()
        if isinstance(module, (nn.Conv2d, nn.Linear, Attention))
    ]
    try:
        network(x, None, mode='tensor')  # fills what the neck keeps
        layers.clear()
        network(x, None, mode='tensor')
    finally:
        for handle in handles:
            handle.remove()
    return layers


def training_layers(layers: list[Layer], parameters: int) -> list[Layer]:
    """Layers of a training step.

    Backwards a product is done twice, for the input and for the weights. AdamW reads weight,
    gradient and two moments, and writes three of them.

    Args:
        layers: Of the forward pass.
        parameters: Trained numbers.
    """
    thrice = [Layer(3 * layer.operations, 3 * layer.numbers) for layer in layers]
    return [*thrice, Layer(0, 7 * parameters)]
