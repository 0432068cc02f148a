# SPDX-License-Identifier: Apache-2.0
"""Our network in torch and OpenVINO beside what a user may take instead: the plain exported graph.

Each in a process of its own with all threads, taking turns (see ``workers.py``): in one process the
thread pools of the libraries would stand in each other's way. Beside other work on the machine, one
thread and its processor time (``--threads 1 --processor-time``) tell more than the clock on the
wall.
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
from suites import NETWORKS, OFFICIAL
from workers import Commands, Contestant, Timing, race

from fastmetro_mm.exporters.onnx_export import export_onnx
from fastmetro_mm.runtimes.names import is_installed, openvino_core
from fastmetro_mm.runtimes.preparing import prepare_network
from fastmetro_mm.speed.allocator import keep_freed_memory

PEERS = ('ONNX Runtime', 'OpenVINO', 'OpenVINO bf16')
OPTIONS = {'L-H64': dict(smpl_head=dict(type='SMPLRegressorHead'))}
REPEATS = {'S-R50': {1: 8, 8: 1, 32: 1}, 'L-H64': {1: 1, 8: 1, 32: 1}}
"""Forward passes in a turn, by images at once."""
TURNS = {32: 5}
"""Turns that count at most, for long ones."""

Run = Callable[[np.ndarray], np.ndarray]
Plan = list[tuple[int, int]]
"""Images at once and forward passes of every turn."""


def peer(library: str, path: str) -> Run:
    """The graph of a whole network in a library, with its defaults.

    Args:
        library: Of :data:`PEERS`.
        path: The ONNX file.

    Returns:
        From images (B, 3, S, S) to vertices (B, V, 3).
    """
    threads = torch.get_num_threads()
    if library == 'ONNX Runtime':
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        place = [output.name for output in session.get_outputs()].index('vertices')
        return lambda image: session.run(None, {'image': image})[place]
    precision = 'bf16' if library.endswith('bf16') else 'f32'
    settings = {'INFERENCE_PRECISION_HINT': precision, 'INFERENCE_NUM_THREADS': threads}
    compiled = openvino_core().compile_model(path, 'CPU', settings)
    return lambda image: compiled([image])['vertices']


def forward(network: torch.nn.Module) -> Run:
    """A network of ours in the same form."""

    def run(image: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(image), None, mode='tensor').vertices.numpy()

    return run


def serve_peer(commands: Commands, plan: Plan, clock: str, library: str, path: str) -> None:
    """Contestant: :func:`peer`."""
    serve(commands, plan, clock, peer(library, path))


def serve_ours(
    commands: Commands, plan: Plan, clock: str, name: str, body: dict, speed: str, runtime: str
) -> None:
    """Contestant: our network as ``MeshInferencer`` prepares it."""
    keep_freed_memory()  # as MeshInferencer does
    network = build(*NETWORKS[name], body, **OPTIONS.get(name, {})).eval()
    serve(commands, plan, clock, forward(prepare_network(network, speed, runtime)))


def serve_official(commands: Commands, plan: Plan, clock: str, folder: str, name: str) -> None:
    """Contestant: the official code."""
    import official_code

    official_code.enter(folder)
    network, *_ = official_code.build(*NETWORKS[name], smpl_head=name in OPTIONS)
    network.eval()

    def run(image: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(image))['pred_3d_vertices_fine'].numpy()

    serve(commands, plan, clock, run)


def serve(commands: Commands, plan: Plan, clock: str, run: Run) -> None:
    """Follow a plan and leave the seconds of a forward pass and the vertices of each batch."""
    now = time.process_time if clock == 'processor' else time.perf_counter
    given = {batch: images(batch).numpy() for batch, _ in plan}
    seconds = commands.outputs['seconds'] = []
    for _, (batch, repeat) in zip(commands, plan, strict=True):
        start = now()
        for _ in range(repeat):
            vertices = run(given[batch])
        seconds.append((now() - start) / repeat)
        commands.outputs[f'vertices {batch}'] = vertices


def contestants(name: str, path: str, body: dict, official: str | None) -> dict[str, Contestant]:
    """Everybody who can run here, the peers first.

    Args:
        name: Of :data:`suites.NETWORKS`.
        path: Its whole graph, an ONNX file.
        body: Which mesh.
        official: Folder of the official code, see ``official_code.arena``.
    """
    found: dict[str, Contestant] = {}
    for library in PEERS:
        if is_installed('onnxruntime' if library == 'ONNX Runtime' else 'openvino'):
            found[library] = Contestant('runtimes:serve_peer', dict(library=library, path=path))
    if official is not None:
        found[OFFICIAL] = Contestant('runtimes:serve_official', dict(folder=official, name=name))
    for speed in ('exact', 'fast'):
        for runtime in ('torch', 'openvino', 'onnxruntime'):
            # ONNX Runtime computes in float32 on a CPU
            if is_installed(runtime) and (speed, runtime) != ('fast', 'onnxruntime'):
                found[f'{speed}, {runtime}'] = Contestant(
                    'runtimes:serve_ours', dict(name=name, body=body, speed=speed, runtime=runtime)
                )
    return found


def plan_of(name: str, batches: Sequence[int] | None, rounds: int, warm_up: int) -> Plan:
    """Turns of one network: batch after batch, each warmed up."""
    repeats = REPEATS[name]
    plan: Plan = []
    for batch in batches or repeats:
        count = warm_up + min(rounds, TURNS.get(batch, rounds))
        plan += [(batch, repeats.get(batch, 1))] * count
    return plan


def runtime_rows(
    names: Sequence[str],
    batches: Sequence[int] | None,
    body: dict,
    rounds: int,
    clock: str,
    threads: int | None = None,
    official: str | None = None,
    warm_up: int = 2,
    who: Sequence[str] = ('',),
) -> Iterator[list[dict[str, Any]]]:
    """Measure.

    Args:
        names: Of :data:`suites.NETWORKS`.
        batches: Images at once; those of :data:`REPEATS` if not given.
        body: Which mesh.
        rounds: Turns that count; of long ones those of :data:`TURNS` at most.
        clock: ``'wall'``, or ``'processor'`` for the time of the process.
        threads: Of each contestant; all cores if not given.
        official: Folder of the official code, see ``official_code.arena``.
        warm_up: Turns before, for every batch.
        who: Contestants whose name contains one of these.

    Yields:
        Rows of one network; ``ratio`` is the time of the fastest peer over that of the row.
    """
    before = os.environ.get('FASTMETRO_CACHE')
    with tempfile.TemporaryDirectory() as folder:
        os.environ['FASTMETRO_CACHE'] = folder
        try:
            for name in names:
                plan = plan_of(name, batches, rounds, warm_up)
                plain = build(*NETWORKS[name], body, **OPTIONS.get(name, {})).eval()
                path = str(export_onnx(plain, Path(folder) / f'{name}.onnx'))
                run = forward(plain)
                expected = {batch: run(images(batch).numpy()) for batch, _ in plan}
                del plain, run
                racing = {
                    title: contestant
                    for title, contestant in contestants(name, path, body, official).items()
                    if any(part in title for part in who)
                }
                for contestant in racing.values():
                    contestant.options.update(plan=plan, clock=clock)
                timings = race(racing, len(plan), warm_up=0, threads=threads)
                yield rows_of(name, plan, timings, expected, warm_up)
        finally:
            os.environ.pop('FASTMETRO_CACHE')
            if before is not None:
                os.environ['FASTMETRO_CACHE'] = before


def rows_of(
    name: str, plan: Plan, timings: dict[str, Timing], expected: dict[int, np.ndarray], warm_up: int
) -> list[dict[str, Any]]:
    """Rows from what the contestants left.

    Args:
        name: Of the network.
        plan: What they followed.
        timings: Theirs, by name.
        expected: Vertices of the plain network, by batch.
        warm_up: Turns of every batch that do not count.
    """
    rows = []
    for batch in dict.fromkeys(batch for batch, _ in plan):
        turns = [turn for turn, (other, _) in enumerate(plan) if other == batch][warm_up:]
        taken = {
            who: [timing.outputs['seconds'][turn] for turn in turns]
            for who, timing in timings.items()
        }
        best = min((median(taken[who]) for who in PEERS if who in taken), default=None)
        for who, seconds in taken.items():
            value = median(seconds)
            off = timings[who].outputs[f'vertices {batch}'] - expected[batch]
            rows.append(
                dict(
                    work=f'{name} run times, batch {batch}',
                    suite='runtimes',
                    who=who,
                    milliseconds=1000 * value,
                    items_per_second=batch / value,
                    ratio=None if best is None else best / value,
                    peak_mb=timings[who].peak_mb,
                    difference=float(np.abs(off).max()),
                    difference_of='vertices m',
                    all_milliseconds=[1000 * one for one in seconds],
                )
            )
    return rows
