# SPDX-License-Identifier: Apache-2.0
"""All jobs: a bounded number, on bounded disk space, for a bounded time."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from fastmetro_mm.serve.job import ENDED, Job
from fastmetro_mm.serve.limits import Limits
from fastmetro_mm.serve.refusals import Refusal


class JobStore:
    """Keeps jobs in a temporary folder that nobody else may read.

    Args:
        limits: How many, how large, how long.
        folder: Where to make the temporary folder; the system's place if not given.
    """

    def __init__(self, limits: Limits, folder: Path | None = None) -> None:
        self.limits = limits
        self.root = Path(tempfile.mkdtemp(prefix='fastmetro_serve_', dir=folder))
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._jobs)

    def new(self, name: str, smooth: bool) -> Job:
        """A job whose file is not there yet; the oldest finished ones make room.

        Raises:
            Refusal: There is no room.
        """
        with self._lock:
            self._make_room()
            number = secrets.token_urlsafe(16)
            job = self._jobs[number] = Job(number, name, self.root / number, smooth)
        return job

    def get(self, number: str) -> Job:
        """The job of this id.

        Raises:
            Refusal: There is none.
        """
        job = self._jobs.get(number)
        if job is None:
            raise Refusal(404, 'there is no such job')
        return job

    def remove(self, job: Job) -> None:
        """Cancel and forget a job."""
        with self._lock:
            self._jobs.pop(job.id, None)
        job.forget()

    def expire(self) -> None:
        """Forget what was finished long ago, and downloads that nobody fetched to the end."""
        before = time.monotonic() - self.limits.keep_seconds
        for folder in self.root.glob('download_*'):
            with suppress(OSError):
                if folder.stat().st_mtime < time.time() - self.limits.keep_seconds:
                    shutil.rmtree(folder)
        with self._lock:
            old = [job for job in self._jobs.values() if job.ended and job.ended < before]
        for job in old:
            self.remove(job)

    def close(self) -> None:
        """Forget everything."""
        for job in list(self._jobs.values()):
            self.remove(job)
        shutil.rmtree(self.root, ignore_errors=True)

    def _make_room(self) -> None:
        limits, jobs = self.limits, self._jobs
        finished = sorted(
            (job for job in jobs.values() if job.state in ENDED), key=lambda job: job.ended or 0.0
        )
        for job in [*finished, None]:
            used = sum(job.bytes for job in jobs.values())
            if len(jobs) < limits.jobs and used + limits.upload_bytes <= limits.disk_bytes:
                return
            if job is None:
                raise Refusal(503, 'the server is full: try again in a while')
            del jobs[job.id]
            job.forget()
