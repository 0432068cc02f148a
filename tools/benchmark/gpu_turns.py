# SPDX-License-Identifier: Apache-2.0
"""Timing on a GPU in this process, and where it is waited for."""

from __future__ import annotations

import contextlib
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch

from fastmetro_mm.errors import CliError

WARM_UPS, FEWEST = 3, 5


class Turns:
    """Measures a contestant of the other benchmarks in this process: ``for _ in turns``.

    Args:
        device: It is waited for at both ends of a turn.
        rounds: Turns at most.
        seconds: No further turn begins after so long.
    """

    def __init__(self, device: torch.device, rounds: int, seconds: float) -> None:
        self.device, self.rounds, self.seconds = device, rounds, seconds
        self.taken: list[float] = []
        self.outputs: dict[str, Any] = {}
        self.added_mb = 0.0

    def __iter__(self) -> Iterator[None]:
        for _ in range(min(WARM_UPS, self.rounds)):
            yield
        self._wait()
        resident = self._start_peak()
        begin = time.perf_counter()
        while len(self.taken) < self.rounds:
            if len(self.taken) >= FEWEST and time.perf_counter() - begin > self.seconds:
                break
            start = time.perf_counter()
            yield
            self._wait()
            self.taken.append(time.perf_counter() - start)
        if self.device.type == 'cuda':
            self.added_mb = (torch.cuda.max_memory_allocated(self.device) - resident) / 2**20

    def result(self, batch: int) -> dict[str, Any]:
        """Fields of a row."""
        taken = median(self.taken)
        return dict(
            milliseconds=1000 * taken,
            images_per_second=batch / taken,
            added_mb=self.added_mb,
            turns=len(self.taken),
            fastest=1000 * min(self.taken),
        )

    def _wait(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)

    def _start_peak(self) -> int:
        if self.device.type != 'cuda':
            return 0
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_allocated(self.device)


@contextlib.contextmanager
def tensor_float(allowed: bool) -> Iterator[None]:
    """TF32 in convolutions or not; products of matrices never use it here (PyTorch's default)."""
    kept = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = kept


def waits_of(device: torch.device, work: Callable[[], Any]) -> dict[str, Any]:
    """Where a work waits for the device: the innermost line of ours or of OpenMMLab, and how often.

    PyTorch warns at every operation that synchronises.
    """
    if device.type != 'cuda':
        raise CliError('only GPUs are waited for')
    for _ in range(WARM_UPS):
        work()
    places: Counter[str] = Counter()

    def note(message: Any, *_: Any) -> None:
        if 'called a synchronizing' in str(message):
            places[_place(traceback.extract_stack())] += 1

    torch.cuda.synchronize(device)
    with warnings.catch_warnings():
        warnings.simplefilter('always')
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode('warn')
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode('default')
    return dict(waits=dict(places))


def _place(stack: traceback.StackSummary) -> str:
    for frame in reversed(stack):
        for package in ('fastmetro_mm/', 'mmengine/', 'mmpose/'):
            if package in frame.filename and 'benchmark' not in frame.filename:
                return f'{package}{frame.filename.rpartition(package)[2]}:{frame.lineno}'
    return f'{stack[-2].filename.rpartition("/")[2]}:{stack[-2].lineno}'
