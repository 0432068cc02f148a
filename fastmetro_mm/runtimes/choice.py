# SPDX-License-Identifier: Apache-2.0
"""Which library is the fastest here: measured once, remembered for this machine and network."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from fastmetro_mm.errors import UserError
from fastmetro_mm.fileio import write_json
from fastmetro_mm.runtimes.graphs import crop_size, find_graphs, graphs_folder
from fastmetro_mm.runtimes.mesh_graphs import mesh_graphs
from fastmetro_mm.runtimes.names import Runtime, available_targets, is_installed, parse_runtime
from fastmetro_mm.speed.acceleration import accelerate
from fastmetro_mm.speed.processor import cpuinfo

_BATCHES = (1, 4)
_TURNS = 3
_CONVERTERS = ('onnx', 'onnxscript')


def fastest(network: Any, speed: str) -> Runtime:
    """The runtime with the least time for a person.

    Args:
        network: As it was loaded.
        speed: ``'exact'`` or ``'fast'``.

    Returns:
        The runtime; torch where nothing else is installed, and then nothing is measured.
    """
    device = next(network.parameters()).device
    torch_itself = Runtime('torch')
    folder = graphs_folder(network)
    others = _candidates(device, find_graphs(folder) is not None)
    if not others:
        return torch_itself
    runtimes = [torch_itself, *others]
    memory = folder / f'fastest-{_machine(runtimes, device, speed)}.json'
    known = {str(runtime): runtime for runtime in runtimes}
    remembered = _remembered(memory)
    if remembered not in known:
        times = measure(network, runtimes, speed)
        remembered = min(times, key=times.__getitem__)
        listed = ', '.join(f'{name} {value:.1f}' for name, value in times.items())
        try:
            write_json(memory, dict(fastest=remembered, milliseconds=times), indent=1)
            kept = f'remembered in {memory}'
        except OSError as error:
            kept = f'measured again the next time ({memory.parent}: {error.strerror})'
        print_log(
            f'runtime: {remembered} is the fastest here (ms a person: {listed}); {kept}', 'current'
        )
    return known[remembered]


def measure(network: Any, runtimes: list[Runtime], speed: str) -> dict[str, float]:
    """Time of each runtime.

    Args:
        network: As it was loaded; left so.
        runtimes: What to measure.
        speed: ``'exact'`` or ``'fast'``.

    Returns:
        Milliseconds a person by name: the geometric mean over batches of 1 and 4, of medians of
        turns that all take one after the other. Without those that cannot run this network.
    """
    runs: dict[str, Callable[[Tensor], object]] = {}
    for runtime in runtimes:
        try:
            if runtime.library == 'torch':
                plain: Any = accelerate(copy.deepcopy(network), speed, False, False)
                runs[str(runtime)] = plain.mesh_of
            else:
                runs[str(runtime)] = mesh_graphs(network, runtime, speed)
        except UserError as error:
            print_log(f'runtime {runtime} is left out: {error}', 'current', logging.WARNING)
    size, device = crop_size(network), next(network.parameters()).device
    product = dict.fromkeys(runs, 1.0)
    for batch in _BATCHES:
        crops = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
        crops = crops.to(device)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(-1, _TURNS):  # the first one, which makes kernels, does not count
            for name, run in runs.items():
                taken = _seconds(run, crops)
                seconds[name] += [taken] if turn >= 0 else []
        for name, values in seconds.items():
            product[name] *= 1000 * median(values) / batch
    return {name: value ** (1 / len(_BATCHES)) for name, value in product.items()}


@torch.no_grad()
def _seconds(run: Callable[[Tensor], object], crops: Tensor) -> float:
    start = time.perf_counter()
    run(crops)
    if crops.device.type == 'cuda':
        torch.cuda.synchronize(crops.device)
    return time.perf_counter() - start


def _candidates(device: torch.device, converted: bool) -> list[Runtime]:
    """What is installed beside torch and runs on the network's device."""
    found = []
    can_convert = converted or all(map(is_installed, _CONVERTERS))
    for library in ('openvino', 'onnxruntime'):
        if not (can_convert and is_installed(library)):
            continue
        try:
            runtime = parse_runtime(library, device)
        except UserError:  # not on this device
            continue
        if runtime.target in available_targets(library):
            found.append(runtime)
    return found


def _machine(runtimes: list[Runtime], device: torch.device, speed: str) -> str:
    """Short name of everything else that the times depend on."""
    return hashlib.sha256(
        json.dumps(
            [
                _processor(),
                torch.cuda.get_device_name(device) if device.type == 'cuda' else '',
                torch.get_num_threads(),
                speed,
                [f'{runtime} {runtime.version}' for runtime in runtimes],
            ]
        ).encode()
    ).hexdigest()[:16]


def _processor() -> str:
    if not cpuinfo():
        return f'{platform.machine()} {platform.processor()} {os.cpu_count()}'
    return next((row for row in cpuinfo().splitlines() if row.startswith('model name')), '')


def _remembered(path: Path) -> str | None:
    try:
        return json.loads(path.read_text())['fastest']
    except (OSError, ValueError, KeyError, TypeError):
        return None
