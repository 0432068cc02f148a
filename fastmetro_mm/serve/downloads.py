# SPDX-License-Identifier: Apache-2.0
"""Files of chosen people, made when they are asked for, one at a time.

Drawing and exporting happen in one thread of their own: a drawing context belongs to the thread
that made it, and neither the network nor the answers of the server wait for it.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Collection, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from fastmetro_mm.apis.export_options import ExportOptions
from fastmetro_mm.apis.saving import KINDS, ResultSaver
from fastmetro_mm.apis.sources import open_source
from fastmetro_mm.serve.job import Job, is_fault, numbered
from fastmetro_mm.serve.limits import Limits
from fastmetro_mm.serve.refusals import Refusal
from fastmetro_mm.structures.results import FrameResult
from fastmetro_mm.visualization.renderer_factory import build_renderer

_DRAWN = ('overlay', 'html', 'rrd')  # kinds that show the image
_PARAMETRIC = ('smpl', 'bvh', 'amass')


class FileMaker:
    """Makes downloads.

    Args:
        limits: How many may wait, how long one may take.
        renderer: Name of what draws, see ``build_renderer``.
        has_parameters: Whether results have SMPL parameters.
    """

    def __init__(self, limits: Limits, renderer: str, has_parameters: bool) -> None:
        left_out = () if has_parameters else _PARAMETRIC
        if find_spec('rerun') is None:
            left_out = (*left_out, 'rrd')
        self.kinds = tuple(kind for kind in KINDS if kind not in left_out)
        self._limits, self._name = limits, renderer
        self._renderer = None  # made in the thread that draws
        self._executor = ThreadPoolExecutor(1, thread_name_prefix='fastmetro-files')
        self._waiting = 0
        self._lock = threading.Lock()
        self._closed = False

    def make(
        self,
        job: Job,
        kind: str,
        people: Collection[int] | None,
        options: ExportOptions | None = None,
    ) -> Future[Path]:
        """Make the files of a kind.

        Args:
            job: A job that has ended.
            kind: One of ``kinds``.
            people: Numbers of the people who are wanted; None for all.
            options: How to export; as it is if not given.

        Returns:
            One file in a folder of its own, for :func:`remove`: the file itself, or an archive
            where there are several. Its exception is a :class:`Refusal`.

        Raises:
            Refusal: Too many wait already.
        """
        with self._lock:
            if self._waiting >= self._limits.downloads:
                raise Refusal(503, 'too many downloads are being made: try again in a while')
            self._waiting += 1
        return self._executor.submit(self._make, job, kind, people, options)

    def close(self) -> None:
        """Give up what is being made."""
        self._closed = True
        self._executor.shutdown(cancel_futures=True)

    def _make(
        self, job: Job, kind: str, people: Collection[int] | None, options: ExportOptions | None
    ) -> Path:
        folder = None
        try:
            with job.held():
                # beside the jobs: deleted with the root at the latest
                folder = Path(tempfile.mkdtemp(prefix='download_', dir=job.folder.parent))
                return self._save(job, kind, people, options, folder)
        except BaseException as error:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            if is_fault(error):
                raise  # it is logged, and answered with 500
            raise Refusal(422, job.words(error)) from None
        finally:
            with self._lock:
                self._waiting -= 1

    def _save(
        self,
        job: Job,
        kind: str,
        people: Collection[int] | None,
        options: ExportOptions | None,
        folder: Path,
    ) -> Path:
        if self._renderer is None:
            self._renderer = build_renderer(self._name)
        is_video = bool(job.kind and job.kind.is_video)
        stem = Path(job.name).stem
        errors: list[Exception] = []
        saver = ResultSaver(
            folder,
            [kind],
            self._renderer,
            job.fps if is_video else None,
            on_error=errors.append,
            options=options,
        )
        until = time.monotonic() + self._limits.job_seconds
        with saver, closing(self._frames(job, kind in _DRAWN)) as frames:
            for frame in frames:
                if self._closed or job.gone:
                    raise Refusal(404, 'the job was cancelled')
                if time.monotonic() > until:
                    seconds = f'{self._limits.job_seconds:g} s'
                    raise Refusal(503, f'making the file took longer than {seconds}')
                saver.add(_chosen(frame, people), stem)
        if errors:
            raise errors[0]
        written = list(saver.written)
        if not written:
            raise Refusal(422, 'there is nobody to export')
        return written[0] if len(written) == 1 else _archive(written, folder, f'{stem}_{kind}.zip')

    def _frames(self, job: Job, with_images: bool) -> Generator[FrameResult]:
        if not with_images:
            yield from (job.frame(index) for index in range(job.frames_done))
            return
        images = open_source(str(job.upload), lambda error: None).images
        try:
            for index, image in zip(range(job.frames_done), images, strict=False):
                yield replace(job.frame(index), image=image.pixels)
        finally:
            getattr(images, 'close', lambda: None)()


def remove(path: Path) -> None:
    """Delete a download that was sent."""
    shutil.rmtree(path.parent, ignore_errors=True)


def _chosen(frame: FrameResult, people: Collection[int] | None) -> FrameResult:
    if people is None:
        return frame
    return replace(frame, people=[person for number, person in numbered(frame) if number in people])


def _archive(files: list[Path], folder: Path, name: str) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, 'w') as archive:
        for file in files:
            archive.write(file, file.relative_to(folder))
            file.unlink()
    return path
