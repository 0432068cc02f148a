# SPDX-License-Identifier: Apache-2.0
"""Record a network's work on a GPU once for every shape of batch, and replay it.

A network of a thousand small kernels keeps a GPU waiting for the processor that launches them. A
CUDA graph launches all of them at once. Everything in it lies at fixed addresses: the batch is
copied in, results are copied out.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

_WARM_UPS = 3
_MOST_SHAPES = 32
"""Each takes seconds to record; batches of further shapes are run as usual."""


class CudaGraphs:
    """A function of one batch, replayed where that is possible and called where it is not.

    Under gradients, autocast, compilation or a capture of somebody else, and on other devices, the
    function is called; also where it cannot be recorded, because it waits for the device. Several
    threads may call; their replays follow each other.

    Args:
        function: Of a tensor, without side effects; its result is a dataclass of tensors. It must
            not wait for the device nor copy to it.
        anchor: A weight that it uses: when it has moved, everything is recorded anew.
        record: How one shape is recorded; for tests.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Any],
        anchor: nn.Parameter,
        record: Callable[..., Callable[[Tensor], Any]] | None = None,
    ) -> None:
        self.function, self.anchor = function, anchor
        self._record = record or record_graph
        self._replays: dict[tuple, Callable[[Tensor], Any] | None] = {}
        self._pool: Any = None
        self._lock = threading.Lock()

    def __call__(self, inputs: Tensor) -> Any:
        """Args: inputs: the batch. Returns what the function returns, in memory of its own."""
        if not _replayable(inputs):
            return self.function(inputs)
        with self._lock:
            replay = self._replay_of(inputs)
            if replay is not None:
                return replay(inputs)
        return self.function(inputs)

    def _replay_of(self, inputs: Tensor) -> Callable[[Tensor], Any] | None:
        key = inputs.shape, inputs.dtype, inputs.device, self.anchor.data_ptr()
        if key not in self._replays:
            if len(self._replays) >= _MOST_SHAPES:
                return None
            self._replays[key] = self._try_to_record(inputs)
        return self._replays[key]

    def _try_to_record(self, inputs: Tensor) -> Callable[[Tensor], Any] | None:
        # tensors made in inference mode could not be used outside of it
        with torch.inference_mode(False), torch.no_grad():
            try:
                if self._pool is None:
                    self._pool = torch.cuda.graph_pool_handle()
                return self._record(self.function, inputs, self._pool)
            except RuntimeError as error:
                print_log(
                    f'batches of {tuple(inputs.shape)} are run without CUDA graphs: {error}',
                    'current',
                    logging.WARNING,
                )
                return None


def _replayable(inputs: Tensor) -> bool:
    return (
        inputs.is_cuda
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled('cuda')
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch.cuda.is_current_stream_capturing()
    )


def record_graph(
    function: Callable[[Tensor], Any], example: Tensor, pool: Any
) -> Callable[[Tensor], Any]:
    """Record a function for batches like an example.

    Args:
        function: As for :class:`CudaGraphs`.
        example: A batch on a GPU.
        pool: Memory shared by graphs that are never replayed at the same time.

    Returns:
        Runs the graph on another batch.

    Raises:
        RuntimeError: If it cannot be recorded.
    """
    device = example.device
    with torch.cuda.device(device):
        caller, stream = torch.cuda.current_stream(), torch.cuda.Stream()
        given = example.clone()
        stream.wait_stream(caller)
        # one choice of algorithms, which then stays: let it be a measured one
        benchmark, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    function(given)
            # other threads may go on using the device meanwhile
            with torch.cuda.graph(graph, pool, stream, 'thread_local'):
                found = function(given)
        finally:
            torch.backends.cudnn.benchmark = benchmark
            torch.cuda.set_stream(caller)  # a capture that fails leaves its own
        caller.wait_stream(stream)
        done = torch.cuda.Event()
        done.record()

    def replay(inputs: Tensor) -> Any:
        with torch.cuda.device(device):
            done.wait()  # the last batch was copied out, on whatever stream that was
            given.copy_(inputs)
            graph.replay()
            copied = copy_of(found)
            done.record()
        return copied

    return replay


def copy_of(result: Any) -> Any:
    """A dataclass with copies of its tensors."""
    values = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return type(result)(
        **{name: value.clone() if isinstance(value, Tensor) else value
           for name, value in values.items()}
    )  # fmt: skip
