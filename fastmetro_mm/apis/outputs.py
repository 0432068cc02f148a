# SPDX-License-Identifier: Apache-2.0
"""One class for each kind of result file; exporters are imported when their format is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import cv2
import numpy as np

from fastmetro_mm.apis.export_options import ExportOptions
from fastmetro_mm.apis.guarding import notice, printable
from fastmetro_mm.apis.shared_drawing import Drawing
from fastmetro_mm.errors import InputError
from fastmetro_mm.fileio import check_target, publish, temporary_beside
from fastmetro_mm.result_marks import is_result
from fastmetro_mm.structures.results import FrameResult
from fastmetro_mm.visualization.frame_drawing import draw_frame
from fastmetro_mm.visualization.image_files import write_image

if TYPE_CHECKING:
    from fastmetro_mm.apis.video_writer import VideoWriter

_REPORT_FRAMES = 12
_MESHES = ('obj', 'ply', 'glb')


@dataclass(eq=False)
class Output:
    """Files of one kind for one input."""

    folder: Path  # where to; must exist
    kind: str  # one of ``saving.KINDS``
    drawing: Drawing  # how to draw
    fps: float | None  # frames a second of a video; None for images
    written: list[Path] = field(default_factory=list)  # files that are complete; added to
    options: ExportOptions = field(default_factory=ExportOptions)  # how to export

    def add(self, frame: FrameResult, name: str) -> None:
        """Save one frame; ``name`` is that of its image or video, without an ending."""
        self.prepare(frame, name)()

    def prepare(self, frame: FrameResult, name: str) -> Callable[[], None]:
        """What must be done in the caller's thread: drawing, since OpenGL belongs to one.

        Args:
            frame: The result.
            name: As for :meth:`add`.

        Returns:
            The rest of :meth:`add`, for any thread; of one output one after the other.
        """
        return partial(self.save, frame, name)

    def save(self, frame: FrameResult, name: str) -> None:
        """Write one frame that needs no drawing."""
        raise NotImplementedError

    def close(self) -> None:
        """Complete what is open, also after a frame that failed."""

    def path(self, name: str) -> Path:
        """A name that may be written: free, or that of an earlier result."""
        return may_be_written(self.folder / name)


def may_be_written(path: Path) -> Path:
    """The path, if nothing but an earlier result of this package stands there.

    Args:
        path: File to write.

    Returns:
        The same path.

    Raises:
        InputError: If there is something else.
    """
    check_target(path)
    if path.exists() and not is_result(path):
        raise InputError(
            f'{printable(path)}: is there already and is no result of this package: '
            'it is left as it is; choose another folder with --out'
        )
    return path


class ImageOverlay(Output):
    """``photo_overlay.jpg``."""

    def prepare(self, frame: FrameResult, name: str) -> Callable[[], None]:
        """See the base class."""
        path = self.path(f'{name}_overlay.jpg')
        drawn = self.drawing.overlay(frame, with_views=True)
        return lambda: self.written.append(write_image(path, drawn))


class VideoOverlay(Output):
    """``clip_overlay.mp4``."""

    _writer: VideoWriter | None = None
    _size: tuple[int, int] = (0, 0)  # of the first frame
    _has_told = False

    def prepare(self, frame: FrameResult, name: str) -> Callable[[], None]:
        """See the base class."""
        how = self.drawing
        drawn = draw_frame(
            frame,
            how.renderer,
            projection=how.projection,
            draw_boxes=True,
            smpl_panel=how.smpl_panel,
        )
        if self._writer is None:
            from fastmetro_mm.apis.video_writer import VideoWriter  # FFmpeg: not for images

            assert self.fps is not None  # every video has one
            self._writer = VideoWriter(self.path(f'{name}_overlay.mp4'), self.fps)
            self._size = drawn.shape[1::-1]
        elif drawn.shape[1::-1] != self._size:  # a call whose quality changed; a file has one size
            if not self._has_told:
                notice(
                    f'{printable(name)}: frame {frame.frame_index} is of another size than the '
                    f'first: overlays are fitted into {self._size[0]}x{self._size[1]}'
                )
            self._has_told = True
            drawn = _fitted(drawn, self._size)
        return partial(self._writer.write, drawn, frame.time)

    def close(self) -> None:
        """See the base class."""
        if self._writer is not None:
            self._writer.close()
            self.written.append(self._writer.path)


class Lines(Output):
    """``clip.jsonl``, a line a frame."""

    _file: TextIO | None = None
    _target = Path()

    def save(self, frame: FrameResult, name: str) -> None:
        """See the base class."""
        if self._file is None:
            self._target = self.path(f'{name}.jsonl')
            self._file = open(temporary_beside(self._target), 'w', encoding='utf-8')
        self._file.write(json.dumps(frame.to_dict(False), allow_nan=False) + '\n')

    def close(self) -> None:
        """See the base class."""
        if self._file is None:
            return
        temporary = Path(self._file.name)
        try:
            self._file.close()  # fails where the disk is full
            publish(temporary, self._target)
            self.written.append(self._target)
        except OSError as error:
            raise InputError(
                f'{printable(self._target)}: {error.strerror}: free some space, or '
                'choose another folder with --out'
            ) from None
        finally:
            temporary.unlink(missing_ok=True)


class FrameFiles(Output):
    """``photo.npz`` and the like; for videos a file a frame in ``clip_npz``."""

    _numbers: set[int] | None = None
    _name = ''

    def save(self, frame: FrameResult, name: str) -> None:
        """See the base class."""
        placed = any(person.is_placed for person in frame.people)
        if self.kind in _MESHES and not placed:
            if self.fps is None:
                notice(f'{printable(name)}: nobody that can be drawn, no .{self.kind} is written')
            return
        if self.fps is None:
            path = self.path(f'{name}.{self.kind}')
        else:
            self._name = name
            if self._numbers is None:
                self._numbers = set()
            self._numbers.add(frame.frame_index)
            path = self.path(f'{name}_{self.kind}/{frame.frame_index:06d}.{self.kind}')
        if self.kind == 'npz':
            frame.save_npz(path)
        elif self.kind == 'json':
            frame.save_json(path)
        else:
            self._write_meshes(frame, path)
        self.written.append(path)

    def close(self) -> None:
        """See the base class."""
        if self._numbers is not None:
            folder = self.folder / f'{self._name}_{self.kind}'
            old = len(list(folder.glob(f'*.{self.kind}'))) - len(self._numbers)
            if old > 0:
                notice(f'{printable(folder)}: holds {old} files of an earlier run as well')

    def _write_meshes(self, frame: FrameResult, path: Path) -> None:
        from fastmetro_mm.exporters.scene import frame_meshes, person_names

        meshes = frame_meshes(frame, lod=self.options.lod)
        names = person_names(frame)
        if self.kind == 'glb':
            from fastmetro_mm.exporters.gltf import write_glb

            write_glb(path, meshes, frame.camera, names)
        else:
            from fastmetro_mm.exporters.mesh_files import write_obj, write_ply

            {'obj': write_obj, 'ply': write_ply}[self.kind](path, meshes, names)


class Report(Output):
    """``photo.html``; of a video up to twelve frames, evenly spread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sampled: list[FrameResult] = []
        self._stride = 1
        self._name = ''

    def prepare(self, frame: FrameResult, name: str) -> Callable[[], None]:
        """See the base class."""
        self._name = name
        if self.fps is None:
            return self._drawn([frame])
        if frame.frame_index % self._stride == 0:
            self._sampled.append(frame)
            if len(self._sampled) > _REPORT_FRAMES:
                self._sampled, self._stride = self._sampled[::2], self._stride * 2
        return _nothing

    def close(self) -> None:
        """See the base class."""
        if self._sampled:
            self._drawn(self._sampled)()

    def _drawn(self, frames: Sequence[FrameResult]) -> Callable[[], None]:
        """Draw; what is left to do is writing."""
        from fastmetro_mm.exporters.html_report import report_frame, write_html_report

        how, entries = self.drawing, []
        for frame in frames:
            images = [('Overlay', how.overlay(frame))]
            if how.views:
                images.append(('Other sides', how.sides(frame)))
            if frame.image is not None:
                images.append(('Input', frame.image))
            entries.append(report_frame(frame, images, lod=self.options.lod))
        path = self.path(f'{self._name}.html')
        title = printable(self._name)
        return lambda: self.written.append(write_html_report(path, entries, title=title))


def _fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image (H, W, 3) uint8 in the middle of one of another width and height, the rest black."""
    share = min(size[0] / image.shape[1], size[1] / image.shape[0])
    width, height = (max(1, round(share * side)) for side in image.shape[1::-1])
    fitted = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    fitted[top : top + height, left : left + width] = cv2.resize(image, (width, height))
    return fitted


def _nothing() -> None:
    """What is left to do of a frame that is kept for later."""
