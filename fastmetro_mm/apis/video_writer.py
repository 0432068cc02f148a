# SPDX-License-Identifier: Apache-2.0
"""Writes an .mp4 frame by frame; it takes its name once it was read back whole."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import av.error
import numpy as np

from fastmetro_mm.apis.guarding import printable
from fastmetro_mm.datasets.worker_process import cores
from fastmetro_mm.errors import InputError
from fastmetro_mm.fileio import publish, temporary_beside
from fastmetro_mm.result_marks import MARK

_TICKS = 90_000  # a second; the usual clock of videos
_CODECS = ('libx264', 'mpeg4')  # what plays in browsers, and what every FFmpeg has
_H264 = {'preset': 'veryfast', 'crf': '21'}
"""Half the work of x264's own choice, files a fifth larger, 0.3 dB less (docs/performance.md)."""


class VideoWriter:
    """Video file that grows with every frame and appears under its name when it is complete.

    H.264 where this build of FFmpeg has it, else MPEG-4. Use as a context manager: Ctrl-C inside
    of it completes the file, any other exception discards it.

    Args:
        path: File to write, ending in ``.mp4``; its folder is made if missing.
        fps: Frames a second, for frames that do not tell their time.

    Raises:
        InputError: If the ending is another one, or the name is that of a folder, link or device.
        OSError: If the folder cannot be written.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != '.mp4':
            raise InputError(f'{path}: videos are written as .mp4: change the ending')
        self.fps = fps
        self.frames = 0
        # made now, so that it fails before the first frame if it cannot be written
        self._temporary = temporary_beside(self.path)
        self._size: tuple[int, int] | None = None
        self._container: Any = None
        self._stream: Any = None  # made with the container
        self._files = ExitStack()
        self._last = -1

    def write(self, image: np.ndarray, time: float | None = None) -> None:
        """Add a frame.

        Args:
            image: RGB, the same size for all frames; an odd row or column is cut off, which the
                encoders cannot take. (H, W, 3) uint8
            time: Seconds from the first frame at which it is shown; by number if not given.

        Raises:
            InputError: If the size differs from that of the first frame, or the encoder stops.
        """
        height, width = (side - side % 2 for side in image.shape[:2])
        if not height or not width:
            raise InputError(
                f'{self._name}: frames of {image.shape[1]}x{image.shape[0]} pixels '
                'are too small for a video: 2x2 are needed'
            )
        if self._size is None:
            self._size = (width, height)
        if self._size != (width, height):
            raise InputError(
                f'{self._name}: frame {self.frames} is {width}x{height}, the first '
                f'was {self._size[0]}x{self._size[1]}'
            )
        tick = round((self.frames / self.fps if time is None else time) * _TICKS)
        try:
            if self._container is None:
                self._open()
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(image[:height, :width]), format='rgb24'
            )
            frame.time_base = Fraction(1, _TICKS)
            frame.pts = self._last = max(tick, self._last + 1)
            container: Any = self._container
            container.mux(self._stream.encode(frame))
        except (av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from None
        self.frames += 1

    def close(self) -> None:
        """Complete the file and prove it; without a single frame there is none.

        Raises:
            InputError: If the encoder fails, or not all frames can be read back.
        """
        try:
            if self.frames:
                self._complete()
                publish(self._temporary, self.path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Leave nothing behind; a file that was completed stays."""
        container, self._container = self._container, None
        if container is not None:
            try:
                container.close()
                self._files.close()
            except (av.error.FFmpegError, OSError):
                pass  # the disk that is full, once more
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
        else:
            self.discard()

    @property
    def _name(self) -> str:
        return printable(self.path)

    def _open(self) -> None:
        name = str(self._temporary)
        options = {'movflags': '+faststart'}
        target = name
        if name != printable(name):  # FFmpeg takes names that are text, and files of any name
            options, target = {}, self._files.enter_context(open(name, 'wb'))
        self._container = av.open(target, 'w', format='mp4', options=options)
        self._container.metadata['comment'] = MARK
        codec = next(codec for codec in _CODECS if codec in av.codecs_available)
        rate = Fraction(self.fps).limit_denominator(1001)
        self._stream = self._container.add_stream(codec, rate=rate)
        self._stream.width, self._stream.height = self._size or (0, 0)
        self._stream.pix_fmt = 'yuv420p'
        if codec == 'libx264':
            self._stream.options = _H264
            self._stream.codec_context.thread_count = max(1, cores() // 2)  # others work as well
        self._stream.codec_context.time_base = Fraction(
            1, _TICKS if codec == 'libx264' else 60_000
        )  # MPEG-4 has 16 bits for it

    def _complete(self) -> None:
        try:
            self._container.mux(self._stream.encode(None))
            container, self._container = self._container, None
            container.close()
            self._files.close()
            with open(self._temporary, 'rb') as file, av.open(file) as written:
                packets = [packet for packet in written.demux(video=0) if packet.size]
                whole = sum(not packet.is_corrupt for packet in packets)
        except (av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from None
        if whole != self.frames:
            raise InputError(
                f'{self._name}: {whole} of {self.frames} frames can be read back: '
                'nothing is kept; check the disk'
            )

    def _failed(self, error: Exception) -> InputError:
        reason = ' '.join(str(getattr(error, 'strerror', None) or error).split())
        return InputError(
            f'{self._name}: the video cannot be written ({reason}): free some space, '
            'or choose another folder'
        )
