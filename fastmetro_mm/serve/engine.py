# SPDX-License-Identifier: Apache-2.0
"""The one thread in which the network runs; jobs of all users fill its batches together."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack

from fastmetro_mm.apis.crops import Crop, PendingImage
from fastmetro_mm.apis.guarding import guarded
from fastmetro_mm.apis.image_camera import CameraHint
from fastmetro_mm.apis.mesh_inferencer import MeshInferencer
from fastmetro_mm.apis.people_finding import PeopleFinder
from fastmetro_mm.apis.smoothing import MeshSmoother
from fastmetro_mm.apis.sources import open_source
from fastmetro_mm.errors import InputError
from fastmetro_mm.serve.job import Job, is_fault
from fastmetro_mm.serve.limits import Limits

log = logging.getLogger('fastmetro_mm.serve')


class _Stream:
    """The images of one job, one after another.

    Args:
        job: The job; held until the stream is closed.
        inferencer: Finds people.
        limits: Bounds of frames and time.
    """

    def __init__(self, job: Job, inferencer: MeshInferencer, limits: Limits) -> None:
        self.job, self._limits = job, limits
        self._until = time.monotonic() + limits.job_seconds
        self._stack = ExitStack()
        self._stack.enter_context(job.held())
        self._smoother: MeshSmoother | None = None
        self._images: Iterator[PendingImage] = iter(())
        self.hint, self.is_open = CameraHint(), True
        job.state = 'running'
        with guarded(job.name, self.fail):
            source = open_source(str(job.upload), self._tell)
            if source.is_video:
                job.fps = source.fps
                self._smoother = MeshSmoother(source.fps) if job.smooth else None
            finder = PeopleFinder(
                source, None, None, inferencer.detector, inferencer.body, True, self._tell
            )
            self._images = inferencer.look(source, finder, True, self._tell)
        self._is_video = bool(job.kind and job.kind.is_video)

    def next(self) -> PendingImage | None:
        """The next image with its people cut out; None at the end."""
        if self.job.gone:
            self.close()
        elif time.monotonic() > self._until:
            self.fail(
                InputError(f'took longer than {self._limits.job_seconds:g} s: send a smaller file')
            )
        found = None
        if self.is_open:
            with guarded(self.job.name, self.fail):
                found = next(self._images, None)
                if found is not None:
                    self._check(found)
        return found if self.is_open else None

    def deliver(self, pending: PendingImage, inferencer: MeshInferencer) -> None:
        """Keep the result of an image."""
        if self.is_open and not self.job.gone:
            with guarded(self.job.name, self.fail):
                frame = inferencer.place(pending, self.hint)
                if self._smoother is not None:
                    self._smoother.update(frame)
                self.job.add(frame)

    def fail(self, error: Exception) -> None:
        """End with an error; what was done stays."""
        if is_fault(error):
            log.error('job %s failed', self.job.id, exc_info=error)
        if self.is_open:
            self.job.end(self.job.words(error))
            self.close()

    def finish(self) -> None:
        """End the job: every image that was given is delivered."""
        if self.is_open:
            notes = self.job.notes
            if self.job.frames_done:
                self.job.end()
            else:  # a photo that could not be read
                self.job.end(notes[0] if notes else 'there is nothing to be seen')
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self.is_open:
            self.is_open = False
            close = getattr(self._images, 'close', None)
            if close is not None:
                close()
            self._stack.close()

    def _tell(self, error: Exception) -> None:
        if is_fault(error):
            log.error('job %s', self.job.id, exc_info=error)
        self.job.note(self.job.words(error))

    def _check(self, found: PendingImage) -> None:
        """What a header may hide."""
        limits, size = self._limits, found.image.size
        if found.image.index >= limits.frames:
            raise InputError(f'the video has more than {limits.frames} frames: send a shorter one')
        most = limits.frame_pixels if self._is_video else limits.image_pixels
        if size[0] * size[1] > most:
            raise InputError(f'more than {most} pixels: make it smaller')


class Engine:
    """Runs the jobs.

    In every round each job gives one image in turn until a batch is full or no job has any left,
    so a photo is answered beside a long video, and people of several users share a batch.

    Args:
        inferencer: The network; used in the engine's thread alone once it has started.
        limits: Bounds of one job.
        batch_size: People at once.
    """

    def __init__(self, inferencer: MeshInferencer, limits: Limits, batch_size: int = 16) -> None:
        self.inferencer, self.limits, self.batch_size = inferencer, limits, batch_size
        self.largest_mix = 0
        """Most jobs that shared a batch so far."""
        self._waiting: deque[Job] = deque()
        self._streams: deque[_Stream] = deque()
        self._ended: list[_Stream] = []  # have no more images; results may be on their way
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='fastmetro-engine', daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Take a job whose file is there."""
        job.state = 'waiting'
        with self._wake:
            self._waiting.append(job)
            self._wake.notify()

    def close(self) -> None:
        """Stop after the batch in work."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._closed or self._waiting or self._streams):
                    self._wake.wait()
                if self._closed:
                    break
            try:
                self._round()
            except Exception as error:  # the thread must outlive whatever comes
                for stream in [*self._streams, *self._ended]:
                    stream.fail(error)
                self._streams.clear()
            self._ended.clear()
        for stream in self._streams:
            stream.close()

    def _admit(self) -> None:
        while self._waiting and len(self._streams) < self.batch_size:
            job = self._waiting.popleft()
            if not job.gone:
                self._streams.append(_Stream(job, self.inferencer, self.limits))

    def _round(self) -> None:
        looked: list[tuple[_Stream, PendingImage]] = []
        crops = 0
        while crops < self.batch_size and len(looked) < 2 * self.batch_size:
            self._admit()
            if not self._streams:
                break
            stream = self._streams.popleft()
            found = stream.next()
            if found is None:
                self._ended.append(stream)
                continue
            self._streams.append(stream)
            looked.append((stream, found))
            crops += len(found.crops)
        self._infer(looked)
        for stream, found in looked:
            stream.deliver(found, self.inferencer)
        for stream in self._ended:
            stream.finish()

    def _infer(self, looked: list[tuple[_Stream, PendingImage]]) -> None:
        queue = [(found, crop) for _, found in looked for crop in found.crops]
        users = {id(found): stream for stream, found in looked}
        for start in range(0, len(queue), self.batch_size):
            batch = queue[start : start + self.batch_size]
            jobs = {id(users[id(found)]) for found, _ in batch}
            self.largest_mix = max(self.largest_mix, len(jobs))
            try:
                self.inferencer.run_crops(batch)
            except Exception:
                self._one_by_one(batch, users)

    def _one_by_one(
        self, batch: list[tuple[PendingImage, Crop]], users: dict[int, _Stream]
    ) -> None:
        """A batch that failed, again in parts: one job must not fail another."""
        for found, crop in batch:
            stream = users[id(found)]
            if stream.is_open:
                with guarded(stream.job.name, stream.fail):
                    self.inferencer.run_crops([(found, crop)])
