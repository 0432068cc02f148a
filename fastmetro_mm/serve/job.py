# SPDX-License-Identifier: Apache-2.0
"""One upload and what became of it; results lie on disk, memory does not grow with a video."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fastmetro_mm.errors import UserError
from fastmetro_mm.serve.refusals import Refusal
from fastmetro_mm.serve.uploads import Upload
from fastmetro_mm.structures.results import FrameResult, load_npz
from fastmetro_mm.visualization.sample_people import person_color

OPEN = ('uploading', 'waiting', 'running')
ENDED = ('done', 'failed')
STATES = (*OPEN, *ENDED)
_IMAGE_SIDE = 960  # pixels of the images that the page shows
_MOST_NOTES = 20


class Job:
    """An uploaded file on its way through the network.

    The inference thread writes, the threads of requests read. Whoever uses the folder holds the
    job (:meth:`held`); a job that was forgotten loses its folder when nobody holds it any more.

    Args:
        number: What a user must know to see it; long and random.
        name: From ``safe_name``.
        folder: Its files; made here.
        smooth: Whether to smooth the people of a video.
    """

    def __init__(self, number: str, name: str, folder: Path, smooth: bool) -> None:
        self.id, self.name, self.smooth = number, name, smooth
        self.folder, self.upload = folder, folder / 'upload'
        folder.mkdir()
        self.state, self.error = 'uploading', None
        self.kind: Upload | None = None
        self.fps: float | None = None
        self.size: tuple[int, int] | None = None
        self.times: list[float | None] = []
        self.people: dict[int, int] = {}  # number of a person -> frames it is seen in
        self.notes: list[str] = []
        self.bytes = 0
        self.ended: float | None = None
        self.gone = False
        self._holders = 0
        self._lock = threading.Lock()

    @property
    def frames_done(self) -> int:
        """Frames whose results are there; these are numbered from 0."""
        return len(self.times)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the folder while it is used.

        Raises:
            Refusal: The job was forgotten.
        """
        with self._lock:
            if self.gone:
                raise Refusal(404, 'there is no such job')
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                last = self.gone and not self._holders
            if last:
                shutil.rmtree(self.folder, ignore_errors=True)

    def forget(self) -> None:
        """Cancel it where it is not done, and delete its files as soon as nobody uses them."""
        with self._lock:
            self.gone = True
            unused = not self._holders
        if unused:
            shutil.rmtree(self.folder, ignore_errors=True)

    def end(self, error: str | None = None) -> None:
        """No more results will come."""
        self.error, self.ended = error, time.monotonic()
        self.state = 'done' if error is None else 'failed'

    def note(self, text: str) -> None:
        """Keep a line for the user."""
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(text)

    def words(self, error: BaseException) -> str:
        """A message without a path of this machine."""
        if is_fault(error):
            return 'a fault of the server; its log tells more'
        text = ' '.join(str(error).split())
        return text.replace(str(self.upload), self.name).replace(f'{self.folder}/', '')

    def add(self, frame: FrameResult) -> None:
        """Keep the result of the next frame, and its image for the page."""
        image: Any = frame.image
        frame = replace(frame, image_path=self.name, image=None)
        path = frame.save_npz(self._path(self.frames_done, 'npz'))
        factor = min(1.0, _IMAGE_SIDE / max(image.shape[:2]))
        if factor < 1:
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        jpeg = cv2.imencode('.jpg', np.ascontiguousarray(image[..., ::-1]))[1].tobytes()
        self._path(self.frames_done, 'jpg').write_bytes(jpeg)
        self.bytes += path.stat().st_size + len(jpeg)
        self.size = frame.image_size
        for number, _ in numbered(frame):
            self.people[number] = self.people.get(number, 0) + 1
        self.times.append(frame.time)  # last: the frame is complete now

    def frame(self, index: int) -> FrameResult:
        """The result of a frame.

        Raises:
            Refusal: There is none (yet).
        """
        self._require(index)
        return load_npz(self._path(index, 'npz'))

    def image(self, index: int) -> bytes:
        """The image of a frame as JPEG, its longer side at most 960 pixels.

        Raises:
            Refusal: There is none (yet).
        """
        self._require(index)
        return self._path(index, 'jpg').read_bytes()

    def to_dict(self) -> dict[str, Any]:
        """What the page shows."""
        is_video = bool(self.kind and self.kind.is_video)
        total = self.kind.frames if self.kind else None
        return dict(
            id=self.id,
            name=self.name,
            kind='video' if is_video else 'image',
            state=self.state,
            frames_done=self.frames_done,
            frames=self.frames_done if self.state in ENDED else total,
            fps=self.fps,
            size=None if self.size is None else list(self.size),
            times=self.times[: self.frames_done],
            people=[
                dict(number=number, frames=count, color=list(person_color(number)))
                for number, count in sorted(list(self.people.items()))
            ],
            notes=list(self.notes),
            error=self.error,
        )

    def _require(self, index: int) -> None:
        if not 0 <= index < self.frames_done:
            raise Refusal(404, f'there is no frame {index}; {self.frames_done} are done')

    def _path(self, index: int, ending: str) -> Path:
        return self.folder / f'{index:06d}.{ending}'


def is_fault(error: BaseException) -> bool:
    """Whether an error is none of the user's: a disk of ours that is full is not, either."""
    return not isinstance(error, UserError) or isinstance(error.__cause__, OSError)


def numbered(frame: FrameResult) -> list[tuple[int, Any]]:
    """The people of a frame with their numbers: by track in a video, else by place."""
    return [
        (place if person.track_id is None else person.track_id, person)
        for place, person in enumerate(frame.people)
    ]
