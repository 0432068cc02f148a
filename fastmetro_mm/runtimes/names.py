# SPDX-License-Identifier: Apache-2.0
"""Which library a user means, and on what it shall run."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import threading
from dataclasses import dataclass
from typing import Any

import torch

from fastmetro_mm.errors import InputError, MissingPackageError

LIBRARIES = ('torch', 'openvino', 'onnxruntime')
AUTO = 'auto'
_PROVIDERS = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}
_EXTRAS = {'openvino': 'openvino', 'onnxruntime': 'export'}
_ONE_CORE = threading.Lock()


@dataclass(frozen=True)
class Runtime:
    """A library and what it runs on.

    Attributes:
        library: Of :data:`LIBRARIES`, or ``auto``.
        target: OpenVINO's name of a device (``CPU``, ``GPU``...), or ONNX Runtime's of an execution
            provider; nothing for torch and ``auto``, which run on the network's device.
    """

    library: str
    target: str = ''

    def __str__(self) -> str:
        return self.library if not self.target else f'{self.library}:{self.target}'

    @property
    def version(self) -> str:
        """Of the library; unknown where it is installed by another name, as onnxruntime-gpu."""
        try:
            return importlib.metadata.version(self.library)
        except importlib.metadata.PackageNotFoundError:
            return 'unknown'


def parse_runtime(text: str, device: torch.device) -> Runtime:
    """Read what a user gave as ``runtime``.

    Args:
        text: ``torch``, ``auto``, ``openvino``, ``openvino:gpu``, ``onnxruntime``,
            ``onnxruntime:cuda``, ``onnxruntime:tensorrt`` or ``onnxruntime:<execution provider>``.
        device: Where the network is: decides what ONNX Runtime runs on where ``text`` does not.

    Raises:
        InputError: If there is no such library, or it cannot run on this device.
    """
    library, _, target = str(text).partition(':')
    if library not in (*LIBRARIES, AUTO):
        raise InputError(f'runtime is {text!r}: choose from {", ".join((*LIBRARIES, AUTO))}')
    if library in ('torch', AUTO):
        if target:
            raise InputError(f'runtime is {text!r}: where {library} runs is said by device')
        return Runtime(library)
    if library == 'openvino':
        if device.type != 'cpu':
            raise InputError(f"runtime='openvino' does not run on {device}: use device='cpu'")
        return Runtime(library, (target or 'cpu').upper())
    target = target or ('cuda' if device.type == 'cuda' else 'cpu')
    return Runtime(library, _PROVIDERS.get(target.lower(), target))


def check_runtime(text: str, device: torch.device | str) -> Runtime:
    """Read what a user gave, and refuse at once what is not here.

    Args:
        text: See :func:`parse_runtime`.
        device: Where the network will be.

    Raises:
        MissingPackageError: If the library is not installed.
        InputError: If there is no such library, or it cannot run on this.
    """
    runtime = parse_runtime(text, torch.device(device))
    if runtime.library in _EXTRAS:
        require_library(runtime)
    return runtime


def is_installed(library: str) -> bool:
    """Whether a library can be imported; it is not imported."""
    return importlib.util.find_spec(library) is not None


def require_library(runtime: Runtime) -> None:
    """Refuse a runtime that is not here.

    Raises:
        MissingPackageError: If the library is not installed.
        InputError: If it does not have the execution provider or device.
    """
    if not is_installed(runtime.library):
        raise MissingPackageError(
            f"runtime='{runtime.library}' needs the package {runtime.library}: "
            f"pip install 'fastmetro_mm[{_EXTRAS[runtime.library]}]', or use runtime='torch'",
            name=runtime.library,
        )
    offered = available_targets(runtime.library)
    # OpenVINO counts several of a kind: GPU.0, GPU.1
    if runtime.target not in offered and runtime.target not in {n.split('.')[0] for n in offered}:
        advice = {
            'onnxruntime': 'for CUDA and TensorRT: pip install onnxruntime-gpu in the place of '
            'onnxruntime',
            'openvino': 'check its driver',
        }[runtime.library]
        raise InputError(
            f'{runtime.library} cannot run on {runtime.target} here, only on {", ".join(offered)}: '
            f'{advice}'
        )


def available_targets(library: str) -> list[str]:
    """What an installed library can run on."""
    if library == 'openvino':
        return list(openvino_core().available_devices)
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def openvino_core() -> Any:
    """The one ``openvino.Core`` of the process.

    A core that goes unloads its plugins, and glibc 2.36 then ends the process in the next thread
    that is made, or in the next core's plugins.
    """
    with _ONE_CORE:
        return _core()


@functools.cache
def _core() -> Any:  # which would be made twice by two threads that come at once
    import openvino  # pyright: ignore[reportMissingImports]

    return openvino.Core()
