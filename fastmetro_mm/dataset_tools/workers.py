# SPDX-License-Identifier: Apache-2.0
"""Worker processes that neither outlive their parent nor speak when it is interrupted."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, parent_process
from typing import Any

import cv2
import torch

from fastmetro_mm.errors import ConfigError, DataSetError

_state: tuple = ()


def _start(*state: Any) -> None:
    """Prepare a worker; its state is sent once, not with every job."""
    global _state
    _state = state
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted and ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(1)  # one process a core already
    cv2.setNumThreads(0)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads as in a worker: the last digits of a mesh depend on their number."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()  # returns when the parent is gone, however it ended
        os._exit(1)


def _work(function: Callable, job: Any) -> Any:
    return function(*_state, job)


def run_jobs(
    function: Callable,
    state: Sequence[Any],
    jobs: Sequence[Any],
    workers: int,
    ordered: bool = False,
) -> Iterator[Any]:
    """Do jobs one after the other, or in worker processes.

    Args:
        function: Called with ``(*state, job)``; a function of a module.
        state: What every job needs; sent to each worker once.
        jobs: The jobs.
        workers: Number of processes; 1 works in this process.
        ordered: Give results in the order of the jobs instead of as they come.

    Yields:
        Results.

    Raises:
        DataSetError: A worker was killed.
    """
    if workers < 1:
        raise ConfigError(f'workers is {workers}, expected 1 or more')
    if workers == 1 or len(jobs) < 2:
        with _one_thread():
            yield from (function(*state, job) for job in jobs)
        return
    others = set(active_children())
    pool = ProcessPoolExecutor(min(workers, len(jobs)), initializer=_start, initargs=tuple(state))
    try:
        futures = [pool.submit(_work, function, job) for job in jobs]
        for future in futures if ordered else as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise DataSetError(
            'a worker process was ended from outside (out of memory?): run the '
            'same command again, perhaps with fewer --workers'
        ) from None
    except (KeyboardInterrupt, GeneratorExit):
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
