# SPDX-License-Identifier: Apache-2.0
"""Training with backbone and neck replayed as CUDA graphs, forwards and backwards.

A step of HRNet-W64 launches some ten thousand small kernels; on a fast GPU the processor that
launches them is what takes the time. Here one launch does for all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from fastmetro_mm.structures import TokenFeatures


def train_on_gpu(network: Any) -> None:
    """Let a network replay CUDA graphs in training, in place.

    Batches of the first one's shape are replayed; others, and evaluation, run as usual. Gradients
    lie in memory that the next replay writes to, so they must be used and dropped in every
    iteration: no accumulation over several.

    Args:
        network: ``TopdownMeshEstimator``, in one process.
    """
    network.extract_feat = TrainingGraphs(network)


class TrainingGraphs:
    """What replaces ``extract_feat`` of an estimator.

    Args:
        network: The estimator.
        record: How it is recorded; for tests.
    """

    def __init__(
        self, network: Any, record: Callable[..., Callable[[Tensor], Any]] | None = None
    ) -> None:
        self.network, self.plain = network, network.extract_feat
        self._record = record or record_training
        self._key: tuple | None = None
        self._replay: Callable[[Tensor], Any] | None = None

    def __call__(self, inputs: Tensor) -> TokenFeatures:
        """Args: inputs (B, 3, H, W). Returns the tokens."""
        if not self.network.training or not _replayable(inputs):
            return self.plain(inputs)
        key = inputs.shape, inputs.device, *_autocast()
        if self._key is None:
            self._key = key
            self._replay = self._try_to_record(inputs)
        if self._replay is None or key != self._key:
            return self.plain(inputs)
        return TokenFeatures(*self._replay(inputs))

    def _try_to_record(self, inputs: Tensor) -> Callable[[Tensor], Any] | None:
        try:
            return self._record(Features(self.network), inputs)
        except RuntimeError as error:
            print_log(f'trained without CUDA graphs: {error}', 'current', logging.WARNING)
            return None


class Features(nn.Module):
    """Backbone and neck with tuples of tensors for results.

    Args:
        network: An estimator; its parts are shared.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.backbone, self.neck = network.backbone, network.neck
        self.layout = network.image_layout

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Args: inputs (B, 3, H, W). Returns what ``TokenFeatures`` holds."""
        tokens = self.neck(self.backbone(inputs.to(**self.layout) if self.layout else inputs))
        found = tokens.camera, tokens.joints, tokens.vertices, tokens.keypoints
        return tuple(part for part in found if part is not None)


def record_training(features: nn.Module, example: Tensor) -> Callable[[Tensor], Any]:
    """Record a module forwards and backwards.

    Args:
        features: The module, in training mode on a GPU; its running statistics stay as they are.
        example: A batch.

    Returns:
        Replays it on another batch of that shape.

    Raises:
        RuntimeError: If it cannot be recorded.
    """
    saved = [buffer.clone() for buffer in features.buffers()]
    enabled, dtype = _autocast()
    # weights are cast anew in every replay
    with torch.autocast('cuda', dtype, enabled=enabled, cache_enabled=False):
        replay: Any = torch.cuda.make_graphed_callables(
            features, (example.clone(),), allow_unused_input=True
        )
    with torch.no_grad():  # it was run a few times
        for buffer, before in zip(features.buffers(), saved, strict=True):
            buffer.copy_(before)

    def run(inputs: Tensor) -> Any:
        with torch.autocast('cuda', dtype, enabled=enabled, cache_enabled=False):
            return replay(inputs)

    return run


def _replayable(inputs: Tensor) -> bool:
    return (
        inputs.is_cuda
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def _autocast() -> tuple[bool, torch.dtype]:
    return torch.is_autocast_enabled('cuda'), torch.get_autocast_dtype('cuda')
