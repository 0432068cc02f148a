# SPDX-License-Identifier: Apache-2.0
"""Our network in torch and OpenVINO beside what a user may take instead: the plain exported graph.

All of them in one process, taking turns. Beside other work on the machine, one thread and its
processor time (``--threads 1 --processor-time``) tell more than the clock on the wall.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from inputs import images
from our_code import build
from suites import NETWORKS

from fastmetro_mm.exporters.onnx_export import export_onnx
from fastmetro_mm.runtimes.names import is_installed, openvino_core
from fastmetro_mm.runtimes.preparing import prepare_network
from fastmetro_mm.speed.allocator import keep_freed_memory

PEERS = ('ONNX Runtime', 'OpenVINO', 'OpenVINO bf16')
OPTIONS = {'L-H64': dict(smpl_head=dict(type='SMPLRegressorHead'))}
BATCHES = {'S-R50': (1, 8, 32), 'L-H64': (1, 8)}
_WARM_UP = 2
_SHORTEST = 0.3  # seconds of a turn; shorter works repeat in it

Run = Callable[[np.ndarray], np.ndarray]


def peers(path: Path) -> dict[str, Run]:
    """The graph of a whole network in other libraries, with their defaults.

    Args:
        path: The ONNX file.

    Returns:
        By name, functions from images (B, 3, S, S) to vertices (B, V, 3).
    """
    threads = torch.get_num_threads()
    found: dict[str, Run] = {}
    if is_installed('onnxruntime'):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        place = [output.name for output in session.get_outputs()].index('vertices')
        found['ONNX Runtime'] = lambda image: session.run(None, {'image': image})[place]
    if is_installed('openvino'):
        for name, precision in (('OpenVINO', 'f32'), ('OpenVINO bf16', 'bf16')):
            settings = {'INFERENCE_PRECISION_HINT': precision, 'INFERENCE_NUM_THREADS': threads}
            compiled = openvino_core().compile_model(path, 'CPU', settings)
            found[name] = lambda image, compiled=compiled: compiled([image])['vertices']
    return found


def ours(name: str, body: dict) -> dict[str, Run]:
    """Our networks in every library and speed, as ``MeshInferencer`` prepares them."""
    found: dict[str, Run] = {}
    for speed in ('exact', 'fast'):
        for runtime in ('torch', 'openvino', 'onnxruntime'):
            # ONNX Runtime computes in float32 on a CPU
            if is_installed(runtime) and (speed, runtime) != ('fast', 'onnxruntime'):
                network = build(*NETWORKS[name], body, **OPTIONS.get(name, {})).eval()
                found[f'{speed}, {runtime}'] = _forward(prepare_network(network, speed, runtime))
    return found


def _forward(network: torch.nn.Module) -> Run:
    def run(image: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(image), None, mode='tensor').vertices.numpy()

    return run


def runtime_rows(
    names: Sequence[str],
    batches: Sequence[int] | None,
    body: dict,
    rounds: int,
    processor_time: bool,
) -> Iterator[list[dict[str, Any]]]:
    """Measure.

    Args:
        names: Of :data:`suites.NETWORKS`.
        batches: Images at once; those of :data:`BATCHES` if not given.
        body: Which mesh.
        rounds: Turns that count.
        processor_time: Of the process, instead of the time on the wall.

    Yields:
        Rows of one network and batch; ``ratio`` is the time of the fastest peer over that of the
        row.
    """
    keep_freed_memory()  # as MeshInferencer does
    clock = time.process_time if processor_time else time.perf_counter
    before = os.environ.get('FASTMETRO_CACHE')
    with tempfile.TemporaryDirectory() as folder:
        os.environ['FASTMETRO_CACHE'] = folder
        try:
            for name in names:
                plain = build(*NETWORKS[name], body, **OPTIONS.get(name, {})).eval()
                path = export_onnx(plain, Path(folder) / f'{name}.onnx')
                runs = {**peers(path), **ours(name, body)}
                for batch in batches or BATCHES[name]:
                    yield _race(name, batch, runs, _forward(plain), rounds, clock)
                del runs
        finally:
            os.environ.pop('FASTMETRO_CACHE')
            if before is not None:
                os.environ['FASTMETRO_CACHE'] = before


def _race(
    name: str, batch: int, runs: dict[str, Run], plain: Run, rounds: int, clock: Callable[[], float]
) -> list[dict[str, Any]]:
    image = images(batch).numpy()
    expected = plain(image)
    off = {who: float(np.abs(run(image) - expected).max()) for who, run in runs.items()}
    start = clock()
    next(iter(runs.values()))(image)
    repeat = max(1, round(_SHORTEST / max(clock() - start, 1e-3)))
    seconds: dict[str, list[float]] = {who: [] for who in runs}
    for turn in range(_WARM_UP + rounds):
        for who, run in runs.items():
            start = clock()
            for _ in range(repeat):
                run(image)
            if turn >= _WARM_UP:
                seconds[who].append((clock() - start) / repeat)
    medians = {who: median(values) for who, values in seconds.items()}
    best = min((medians[who] for who in PEERS if who in medians), default=None)
    return [
        dict(
            work=f'{name} run times, batch {batch}',
            suite='runtimes',
            who=who,
            milliseconds=1000 * value,
            items_per_second=batch / value,
            ratio=None if best is None else best / value,
            difference=off[who],
            difference_of='vertices m',
            all_milliseconds=[1000 * one for one in seconds[who]],
        )
        for who, value in medians.items()
    ]
