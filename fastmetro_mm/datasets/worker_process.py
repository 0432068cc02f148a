# SPDX-License-Identifier: Apache-2.0
"""Processes that convert, check or draw data sets: one thread each, and no life of their own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

import cv2
import torch


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare_worker() -> None:
    """Make this process a worker: one thread, silent at Ctrl+C, ended with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted and ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(1)  # one process a core already
    cv2.setNumThreads(1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Threads as in a worker: the last digits of a mesh depend on their number."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
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
