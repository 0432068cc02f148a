# SPDX-License-Identifier: Apache-2.0
"""A one-line progress display with rate and remaining time."""

import sys
import time


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes}:{rest:02d}'


class Progress:
    """Shows how far a job of a known number of images is.

    On a terminal the line is redrawn in place; in a log file a new line comes every ten seconds.

    Args:
        total: Length of the job.
        done: How much was there before; it does not count for the rate.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self._stream = sys.stderr
        self._total, self._done, self._before = total, done, done
        self._start = time.monotonic()
        self._last = -1e9
        self._live = self._stream.isatty()
        self._show()

    def add(self, count: int) -> None:
        """Counts finished things and shows the new state, if it is time to."""
        self._done += count
        now = time.monotonic()
        if self._done == self._total or now - self._last > (0.1 if self._live else 10.0):
            self._show()

    def _show(self) -> None:
        self._last = time.monotonic()
        spent = self._last - self._start
        rate = (self._done - self._before) / max(spent, 1e-6)
        share = self._done / max(self._total, 1)
        bar = '#' * round(24 * share)
        line = f'[{bar:<24}] {self._done}/{self._total} images'
        if self._done > self._before:
            line += f', {rate:.1f}/s, {clock(spent)} gone'
            line += f', {clock((self._total - self._done) / rate)} to go'
        end = '' if self._live else '\n'
        self._stream.write((f'\r\x1b[K{line}' if self._live else line) + end)
        self._stream.flush()

    def close(self) -> None:
        """Ends the line."""
        if self._live:
            self._stream.write('\n')
            self._stream.flush()
