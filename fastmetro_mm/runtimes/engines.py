# SPDX-License-Identifier: Apache-2.0
"""One ONNX file in one library: arrays in, arrays out, any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from fastmetro_mm.errors import InputError
from fastmetro_mm.runtimes.names import Runtime, openvino_core

_OPENVINO_TYPES = {torch.float32: 'f32', torch.bfloat16: 'bf16', torch.float16: 'f16'}


class Engine(Protocol):
    """A graph that can be run."""

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Inputs in the graph's order to its outputs, which hold until the next call."""
        ...


class OpenVinoEngine:
    """A graph in OpenVINO.

    Args:
        path: The ONNX file.
        target: OpenVINO's name of the device.
        dtype: What it computes in; inputs and outputs are float32.
        threads: On a CPU.

    Raises:
        InputError: If the device is unknown or does not take the graph.
    """

    def __init__(self, path: Path, target: str, dtype: torch.dtype, threads: int) -> None:
        settings: dict[str, Any] = {
            'INFERENCE_PRECISION_HINT': _OPENVINO_TYPES[dtype],
            'PERFORMANCE_HINT': 'LATENCY',
        }
        if target == 'CPU':
            settings['INFERENCE_NUM_THREADS'] = threads
        core = openvino_core()
        try:
            self._compiled = core.compile_model(core.read_model(path), target, settings)
        except RuntimeError as error:
            reason = ' '.join(str(error).split()[-20:])
            if target in core.available_devices:
                raise _unloaded('OpenVINO', path, reason) from error
            raise InputError(
                f'OpenVINO does not start on {target}, only on {", ".join(core.available_devices)} '
                f"({reason}): name one of these, or use runtime='torch'"
            ) from error
        self._local = threading.local()

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See :class:`Engine`."""
        # A request holds the buffers of one call: each thread has its own.
        request = getattr(self._local, 'request', None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        request.infer(dict(enumerate(arrays)), share_inputs=True, share_outputs=True)
        return [tensor.data for tensor in request.output_tensors]


class OnnxRuntimeEngine:
    """A graph in ONNX Runtime.

    Args:
        path: The ONNX file.
        target: Execution provider.
        dtype: float16 is handed to TensorRT; the others compute in float32, on GPUs without TF32.
        threads: On a CPU.

    Raises:
        InputError: If the provider is unknown or does not start on this machine.
    """

    def __init__(self, path: Path, target: str, dtype: torch.dtype, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        settings = {
            'TensorrtExecutionProvider': {'trt_fp16_enable': dtype == torch.float16},
            'CUDAExecutionProvider': {'use_tf32': 0},
        }
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=[(target, settings.get(target, {}))]
            )
        except Exception as error:  # of a dozen classes of its own
            reason = ' '.join(str(error).split())[:200]
            raise _unloaded('ONNX Runtime', path, reason) from error
        # the library itself goes on with the CPU, and says so on the terminal only
        if target not in (able := self._session.get_providers()):
            raise InputError(
                f'ONNX Runtime does not start on {target}, only on {", ".join(able)}: install its '
                "package for that hardware and the drivers, or use runtime='torch'"
            )
        self._names = [given.name for given in self._session.get_inputs()]

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See :class:`Engine`."""
        found: Any = self._session.run(None, dict(zip(self._names, arrays, strict=True)))
        return found


def _unloaded(library: str, path: Path, reason: str) -> InputError:
    return InputError(
        f"{path}: {library} cannot load it ({reason}): use runtime='torch' and tell us"
    )


def build_engine(path: Path, runtime: Runtime, dtype: torch.dtype, threads: int) -> Engine:
    """Load a graph.

    Args:
        path: The ONNX file.
        runtime: Library and target.
        dtype: What it computes in, as far as the library can.
        threads: On a CPU.
    """
    kind = OpenVinoEngine if runtime.library == 'openvino' else OnnxRuntimeEngine
    return kind(path, runtime.target, dtype, threads)
