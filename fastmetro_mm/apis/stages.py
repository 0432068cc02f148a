# SPDX-License-Identifier: Apache-2.0
"""Stages that work at the same time, in threads with short queues: order and memory stay."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar('Item')
_END = object()
_LOOK_UP = 0.1
"""Seconds after which a waiting thread looks whether anybody still wants its work."""
_LAST_ITEM = 0.02
"""Seconds that whoever wants every core waits for items and jobs that were begun."""


class Pause:
    """Lets the threads of this module wait while something else fills every core.

    Two things that each use all cores take longer at once than one after the other: the threads of
    the first wait, spinning, for the one whose core the second took.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reasons = self._at_work = 0
        self._here = threading.local()

    @contextmanager
    def others(self) -> Iterator[None]:
        """Let no thread begin with its next item or job until the block ends.

        Those at work may come to their end first, for a moment.
        """
        with self.resting():
            with self._changed:
                self._reasons += 1
                self._changed.wait_for(lambda: not self._at_work, _LAST_ITEM)
            try:
                yield
            finally:
                with self._changed:
                    self._reasons -= 1
                    self._changed.notify_all()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Begin with an item or job as soon as nobody wants the cores alone."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Wait for somebody else in the block, also in the middle of an item or job."""
        if not getattr(self._here, 'at_work', False):
            yield
            return
        self._end()
        try:
            yield
        finally:
            self._begin()

    @property
    def is_on(self) -> bool:
        """Whether somebody wants the cores alone."""
        return self._reasons > 0

    def _begin(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._reasons)
            self._at_work += 1
            self._here.at_work = True

    def _end(self) -> None:
        with self._changed:
            self._at_work -= 1
            self._here.at_work = False
            self._changed.notify_all()


PAUSE = Pause()
"""Of this process."""


def ahead(items: Iterable[Item], size: int) -> Iterator[Item]:
    """Make items in a thread of their own while the caller works with those before.

    The thread starts with the first item that is asked for, and ends with the last, with the
    first exception, or when this generator is closed.

    Args:
        items: What makes them; used in that thread alone.
        size: Items that may wait at once.

    Yields:
        The items in their order.

    Raises:
        BaseException: What ``items`` raised, after the items before it.
    """
    waiting: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(size)
    stop = threading.Event()

    def put(item: Any, error: BaseException | None = None) -> bool:
        while not stop.is_set():
            try:
                waiting.put((item, error), timeout=_LOOK_UP)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        iterator = iter(items)
        try:
            while True:
                with PAUSE.working():
                    item = next(iterator, _END)
                if not put(item) or item is _END:
                    return
        except BaseException as error:  # it belongs to the caller, whatever it is
            put(_END, error)
        finally:
            close = getattr(iterator, 'close', None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            with PAUSE.resting():
                item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
            del item  # not kept while the next one is waited for
    finally:
        stop.set()
        thread.join()


class Worker:
    """One thread that does jobs in their order.

    Args:
        size: Jobs that may wait; whoever brings another one waits too.
    """

    def __init__(self, size: int) -> None:
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(size)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Have a job done.

        Args:
            job: The job.

        Raises:
            BaseException: What an earlier job raised; it is told once.
        """
        self._tell()
        self._jobs.put(job)

    def finish(self) -> None:
        """Wait until all jobs are done; there can be no more.

        Raises:
            BaseException: What a job raised, if it was not told yet.
        """
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        self._tell()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                with PAUSE.working():
                    job()
            except BaseException as error:
                self._error = self._error or error
            del job

    def _tell(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
