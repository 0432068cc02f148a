# SPDX-License-Identifier: Apache-2.0
"""Worker processes that neither outlive their parent nor speak when it is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children
from multiprocessing.context import BaseContext
from typing import Any

from fastmetro_mm.datasets.worker_process import one_thread, prepare_worker
from fastmetro_mm.errors import ConfigError, DataSetError

_state: tuple = ()


def _start(*state: Any) -> None:
    """Prepare a worker; its state is sent once, not with every job."""
    global _state
    _state = state
    prepare_worker()


def _work(function: Callable, job: Any) -> Any:
    return function(*_state, job)


def run_jobs(
    function: Callable,
    state: Sequence[Any],
    jobs: Sequence[Any],
    workers: int,
    ordered: bool = False,
    context: BaseContext | None = None,
) -> Generator[Any]:
    """Do jobs one after the other, or in worker processes.

    Args:
        function: Called with ``(*state, job)``; a function of a module.
        state: What every job needs; sent to each worker once.
        jobs: The jobs.
        workers: Number of processes; 1 works in this process.
        ordered: Give results in the order of the jobs instead of as they come.
        context: How processes are started; by default as Python does on this system.

    Yields:
        Results.

    Raises:
        DataSetError: A worker was killed.
    """
    if workers < 1:
        raise ConfigError(f'workers is {workers}, expected 1 or more')
    if workers == 1 or len(jobs) < 2:
        with one_thread():
            yield from (function(*state, job) for job in jobs)
        return
    others = set(active_children())
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)), context, initializer=_start, initargs=tuple(state)
    )
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
