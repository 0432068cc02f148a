# SPDX-License-Identifier: Apache-2.0
"""Side-by-side timing: every contestant in a process of its own, taking turns step by step.

A contestant is a generator-driven function ``serve(commands, **options)``: it prepares itself,
then does one unit of work for every turn of ``for _ in commands``. The time from one turn to the
next is the time of the work. Processes keep memory peaks apart and leave no warm caches to each
other; taking turns spreads whatever else the machine does over all of them.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import statistics
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

_HERE = Path(__file__).resolve().parent


@dataclass
class Contestant:
    """What runs in a process.

    Attributes:
        serve: ``'module:function'`` of this folder.
        options: Keyword arguments of the function; must pickle.
        home: Checkout whose package and whose folder of this name are used; this one if None.
    """

    serve: str
    options: dict[str, Any] = field(default_factory=dict)
    home: str | None = None


@dataclass
class Timing:
    """What a contestant took.

    Attributes:
        seconds: One entry a turn.
        start_seconds: From the start of the process to the first turn (imports, building,
            compiling, warm-up).
        peak_mb: Largest resident memory of the process, MB.
        work_mb: Of that, what was added after the contestant was prepared.
        outputs: Arrays and numbers it left for comparison.
    """

    seconds: list[float]
    start_seconds: float
    peak_mb: float
    work_mb: float
    outputs: dict[str, Any]

    @property
    def median(self) -> float:
        """Median seconds of a turn."""
        return statistics.median(self.seconds)


class Commands:
    """The turns of a contestant, seen from inside its process.

    Iterating waits for the next turn. ``outputs`` goes to the parent at the end.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.outputs: dict[str, Any] = {}
        self.ready_mb = 0.0

    def __iter__(self) -> Iterator[None]:
        reset_peak_memory()
        self.ready_mb = resident_mb()
        self._connection.send('ready')
        while self._connection.recv() == 'turn':
            start = time.perf_counter()
            yield
            self._connection.send(time.perf_counter() - start)


def resident_mb() -> float:
    """Resident memory of this process, MB."""
    return _status('VmRSS')


def reset_peak_memory() -> None:
    """Start the peak anew where the system allows it."""
    try:
        Path('/proc/self/clear_refs').write_text('5')
    except OSError:
        return


def _status(name: str) -> float:
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(name + ':'):
            return int(line.split()[1]) / 1024
    return float('nan')


def _run(connection: Connection, contestant: Contestant, threads: int) -> None:
    import torch

    warnings.filterwarnings('ignore')
    torch.set_num_threads(threads)
    # No bitwise mishaps from denormals of random weights, in any contestant.
    torch.set_flush_denormal(True)
    module, name = contestant.serve.split(':')
    if contestant.home is not None:
        own = str(_HERE), str(_HERE.parents[1])
        others = [place for place in sys.path if place not in own]
        sys.path[:] = [f'{contestant.home}/tools/benchmark', contestant.home, *others]
    commands = Commands(connection)
    try:
        getattr(importlib.import_module(module), name)(commands, **contestant.options)
        peak = _status('VmHWM')
        connection.send((peak, peak - commands.ready_mb, commands.outputs))
    except Exception:
        connection.send(traceback.format_exc())


class BenchmarkError(RuntimeError):
    """A contestant failed; the message is its traceback."""


class _Process:
    def __init__(self, contestant: Contestant, threads: int) -> None:
        context = multiprocessing.get_context('spawn')
        self._connection, other = context.Pipe()
        self._process = context.Process(
            target=_run, args=(other, contestant, threads), daemon=False
        )
        start = time.perf_counter()
        self._process.start()
        other.close()
        self._receive()
        self.start_seconds = time.perf_counter() - start

    def _receive(self) -> Any:
        try:
            answer = self._connection.recv()
        except EOFError:
            raise BenchmarkError('a process ended without an answer (out of memory?)') from None
        if isinstance(answer, str) and answer != 'ready':
            raise BenchmarkError(answer)
        return answer

    def turn(self) -> float:
        self._connection.send('turn')
        return self._receive()

    def finish(self) -> tuple[float, float, dict]:
        self._connection.send('stop')
        answer = self._receive()
        self._process.join()
        return answer

    def kill(self) -> None:
        self._process.kill()


def race(
    contestants: dict[str, Contestant], rounds: int, warm_up: int = 1, threads: int | None = None
) -> dict[str, Timing]:
    """Let contestants take turns.

    Args:
        contestants: By name.
        rounds: Turns each that count.
        warm_up: Turns each before, which do not count.
        threads: Processor threads of each; all cores if not given.

    Returns:
        By name, in the same order.

    Raises:
        BenchmarkError: If one of them fails.
    """
    threads = threads or len(os.sched_getaffinity(0))
    _make_importable()
    processes: dict[str, _Process] = {}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    try:
        for name, contestant in contestants.items():
            processes[name] = _Process(contestant, threads)
        for index in range(warm_up + rounds):
            for name, process in processes.items():
                taken = process.turn()
                if index >= warm_up:
                    seconds[name].append(taken)
        timings = {}
        for name, process in processes.items():
            peak, work, outputs = process.finish()
            timings[name] = Timing(seconds[name], process.start_seconds, peak, work, outputs)
    except BaseException:
        for process in processes.values():
            process.kill()
        raise
    return timings


def _make_importable() -> None:
    """Children find the modules of this folder and the package; they inherit the path."""
    for folder in (str(_HERE), str(_HERE.parents[1])):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    paths = [str(_HERE), str(_HERE.parents[1]), os.environ.get('PYTHONPATH', '')]
    os.environ['PYTHONPATH'] = os.pathsep.join(path for path in paths if path)


def largest_difference(first: dict[str, Any], second: dict[str, Any], name: str) -> float:
    """Largest absolute difference of an output two contestants left; nan if one left none."""
    if name not in first or name not in second:
        return float('nan')
    return float(np.abs(np.asarray(first[name]) - np.asarray(second[name])).max())
