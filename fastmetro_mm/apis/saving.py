# SPDX-License-Identifier: Apache-2.0
"""Files of a result: overlays, arrays and the formats of other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType

from fastmetro_mm.apis.export_options import ExportOptions
from fastmetro_mm.apis.guarding import ErrorHandler, error_handler, guarded, printable
from fastmetro_mm.apis.motion_files import Motion, Recording
from fastmetro_mm.apis.outputs import FrameFiles, ImageOverlay, Lines, Output, Report, VideoOverlay
from fastmetro_mm.apis.shared_drawing import Drawing
from fastmetro_mm.apis.stages import Worker
from fastmetro_mm.earlier_names import accept_old_keywords
from fastmetro_mm.errors import InputError
from fastmetro_mm.exporters import NO_FBX
from fastmetro_mm.structures.results import FrameResult
from fastmetro_mm.visualization.render_types import Renderer

_WAITING = 4  # files that may wait for being written
KINDS = ('overlay', 'npz', 'json', 'obj', 'ply', 'glb', 'html', 'smpl', 'bvh', 'amass', 'rrd')


def check_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """The kinds of files, if all are known.

    Args:
        kinds: Any of :data:`KINDS`.

    Raises:
        InputError: If one is unknown.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        route = f'; {NO_FBX}' if 'fbx' in unknown else ''
        raise InputError(
            f'cannot save {", ".join(map(repr, unknown)) or "nothing"}: choose from '
            f'{",".join(KINDS)}{route}'
        )
    return tuple(kinds)


@accept_old_keywords(camera='projection')
class ResultSaver:
    """Saves the frames of one input under its name. Use as a context manager.

    An image ``photo.jpg`` gives ``photo_overlay.jpg``, ``photo.npz``, ``photo.json``,
    ``photo.obj``, ``photo.ply``, ``photo.glb``, ``photo.html``, ``photo.rrd``,
    ``photo_smpl_<person>.npz``, ``photo_amass_<person>.npz`` and ``photo_<person>.bvh``. A video
    gives one ``clip_overlay.mp4``, ``clip.jsonl`` (a line a frame), ``clip.html`` and
    ``clip.rrd``, the same files of parameters and BVH, a rigged ``clip.glb`` where the network
    gives SMPL parameters, and a folder ``clip_<kind>`` with a file a frame for the rest. Videos
    are written as they come: memory does not grow with their length, but for the SMPL parameters
    (2 kB a person a frame).

    A kind that fails does not stop the others, and whatever ends the block (Ctrl-C too), what was
    made until then is completed. Only earlier results of this package are replaced.

    Args:
        folder: Where to; must exist.
        kinds: Any of :data:`KINDS`.
        renderer: What draws; needed for ``overlay`` and ``html``.
        fps: Frames a second of a video; None for images.
        views: Views beside overlays of images: any of ``front side back top``.
        projection: ``'network'`` or ``'scene'``, see ``frame_drawing.render_frame``.
        smpl_panel: Whether overlays have a second panel with the mesh of the SMPL head; for
            images, where the result has one, if not given, and never for videos.
        on_error: ``'raise'``, ``'skip'``, or a function that is called with the error of a kind.
        options: How to export: level of detail, floor.
        overlap: Encode and write in a thread of its own, while the caller goes on; drawing stays
            in the caller's thread. ``on_error`` is then called from that thread, and what it
            raises comes with a later frame or at the end.

    Raises:
        InputError: Feet are to be locked without a floor.
    """

    def __init__(
        self,
        folder: Path,
        kinds: Sequence[str],
        renderer: Renderer | None = None,
        fps: float | None = None,
        views: Sequence[str] = ('side', 'top'),
        projection: str = 'network',
        smpl_panel: bool | None = None,
        on_error: str | ErrorHandler = 'raise',
        options: ExportOptions | None = None,
        overlap: bool = False,
    ) -> None:
        # A frame of a video may be empty, so that its people do not tell.
        panel = bool(smpl_panel) if fps is not None else smpl_panel
        drawing = Drawing(renderer, views, projection, panel)
        options = options or ExportOptions()
        if options.foot_lock and not options.floor:
            raise InputError('foot_lock needs floor: feet stand still on something')
        self.written: list[Path] = []
        self._on_error = error_handler(on_error)
        self._broken: set[Output] = set()
        self._outputs = [
            _output_of(kind, fps is not None)(folder, kind, drawing, fps, self.written, options)
            for kind in dict.fromkeys(check_kinds(kinds))
        ]
        self._is_video = fps is not None
        self._worker = Worker(_WAITING) if overlap else None

    def add(self, frame: FrameResult, name: str) -> None:
        """Save one frame.

        Args:
            frame: The result, with its image if overlays are wanted.
            name: Name of the image or video, without an ending.
        """
        errors: list[Exception] = []
        for output in self._outputs:
            jobs: list[Callable[[], None]] = []
            with self._guarded(output, name, errors) as works:
                if works:
                    jobs.append(output.prepare(frame, name))
            for job in jobs:
                if self._worker is None:
                    self._do(output, name, job, errors)
                else:
                    self._worker.submit(partial(self._do, output, name, job))
        self._tell(errors)

    def _do(
        self,
        output: Output,
        name: str,
        job: Callable[[], None],
        errors: list[Exception] | None = None,
    ) -> None:
        """Encode and write; errors are told at once where nobody collects them."""
        found: list[Exception] = [] if errors is None else errors
        with self._guarded(output, name, found) as works:
            if works:
                job()
        if errors is None:
            self._tell(found)

    @contextmanager
    def _guarded(self, output: Output, name: str, errors: list[Exception]) -> Iterator[bool]:
        """Collect errors of one output; says whether it works still: a video's ends with one."""
        before = len(errors)
        with guarded(f'{printable(name)}, {output.kind}', errors.append):
            yield output not in self._broken
        if len(errors) > before and self._is_video:
            self._broken.add(output)  # one line, not one a frame

    def __enter__(self) -> ResultSaver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        errors: list[Exception] = []
        if self._worker is not None:
            with guarded('results', errors.append):
                self._worker.finish()
        for output in self._outputs:
            with guarded(output.kind, errors.append):
                output.close()
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self._tell(errors)

    def _tell(self, errors: Sequence[Exception]) -> None:
        for error in errors:
            self._on_error(error)


def _output_of(kind: str, is_video: bool) -> type[Output]:
    if kind == 'overlay':
        return VideoOverlay if is_video else ImageOverlay
    if kind == 'html':
        return Report
    if kind == 'rrd':
        return Recording
    if kind in ('smpl', 'bvh', 'amass') or (kind == 'glb' and is_video):
        return Motion
    return Lines if kind == 'json' and is_video else FrameFiles
