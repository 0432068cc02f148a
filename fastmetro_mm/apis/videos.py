# SPDX-License-Identifier: Apache-2.0
"""Frames of video files and cameras, with their times; an end that comes too early is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import av.stream
import av.video.reformatter
import cv2
import numpy as np

from fastmetro_mm.apis.guarding import ErrorHandler, notice, printable
from fastmetro_mm.apis.image_reading import SourceImage
from fastmetro_mm.apis.source import Source
from fastmetro_mm.errors import InputError

GUESSED_FPS = 25.0
_MOST_FPS = 1000


def open_video(path: Path, on_error: ErrorHandler) -> Source:
    """Open a video file.

    Args:
        path: The file, in any format that FFmpeg reads.
        on_error: Called at the end if the file was damaged or ended before its own length; the
            frames before are given all the same.

    Returns:
        The source. Frames are turned as the file says, lie on white where they are transparent,
        and carry their own times, also where the frame rate varies.

    Raises:
        InputError: If it has no frame that can be read.
    """
    where = printable(path)
    reader = _Reader(path)
    try:
        first = next(reader, None)
    except Exception as error:
        reader.close()
        raise InputError(
            f'{where}: the video cannot be decoded ({_short(error)}): check that it '
            'plays, or convert it to .mp4'
        ) from None
    if first is None:
        reader.close()
        raise InputError(
            f'{where}: the video has no frame that can be read: check that it plays, '
            'or convert it to .mp4'
        )
    fps = reader.fps
    if fps is None:
        fps = GUESSED_FPS
        notice(f'{where}: tells no usable frame rate, {fps:g} frames a second are assumed')
    return Source(
        _frames(reader, first, path, fps, on_error),
        str(path),
        is_video=True,
        length=reader.length,
        fps=fps,
        count=lambda: _count(path),
    )


def open_webcam(number: int) -> Source:
    """Open a camera of this machine.

    Args:
        number: As OpenCV counts them.

    Returns:
        The source; it ends when the camera does. Frames carry the time they were taken.

    Raises:
        InputError: If it gives no image.
    """
    capture = cv2.VideoCapture(number)
    done, first = capture.read() if capture.isOpened() else (False, None)
    if not done or first is None:
        capture.release()
        raise InputError(f'webcam {number} cannot be opened: check that it is plugged in and free')
    fps = capture.get(cv2.CAP_PROP_FPS)
    return Source(
        _camera_frames(capture, first),
        f'webcam:{number}',
        is_video=True,
        is_live=True,
        fps=fps if 0 < fps < _MOST_FPS else GUESSED_FPS,
    )


class _Reader:
    """Decoded frames of a file, and what its header promises.

    Names may hold bytes that are no text, so FFmpeg is given the open file.
    """

    def __init__(self, path: Path) -> None:
        # one for all frames: to make it takes longer than to use it
        self.reformatter = av.video.reformatter.VideoReformatter()
        self.damaged = 0
        self.failure: Exception | None = None
        where = printable(path)
        self._file = open(path, 'rb')
        try:
            if not self._file.read(1):
                raise InputError(f'{where}: the video is empty: copy or record it again')
            self._file.seek(0)
            self._container: Any = av.open(self._file)
            streams = [
                stream
                for stream in self._container.streams.video
                if not stream.disposition & av.stream.Disposition.attached_pic
            ]
            if not streams:
                raise InputError(f'{where}: the file has no video, sound alone: give another one')
        except (av.error.FFmpegError, ValueError, OSError) as error:
            self._file.close()
            if isinstance(error, InputError):
                raise
            raise InputError(
                f'{where}: unreadable video ({_short(error)}): check that it plays, '
                'or convert it to .mp4'
            ) from None
        self.stream = streams[0]
        self.stream.thread_type = 'AUTO'
        self._iterator: Any = self._decode()

    def close(self) -> None:
        self._iterator.close()
        self._container.close()
        self._file.close()

    @property
    def fps(self) -> float | None:
        """Frames a second on average; None if the file does not tell or tells nonsense."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return float(rate) if rate and 0 < rate < _MOST_FPS else None

    @property
    def seconds(self) -> float | None:
        """Length of the video as its header promises it."""
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        try:  # Matroska keeps it as text
            hours, minutes, seconds = self.stream.metadata['DURATION'].split(':')
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        except (KeyError, ValueError):
            pass
        alone = len(self._container.streams) == 1  # sound may be longer
        return (
            self._container.duration / av.time_base
            if (alone and self._container.duration)
            else None
        )

    @property
    def length(self) -> int | None:
        return self.stream.frames or None

    def __iter__(self) -> Iterator[av.VideoFrame]:
        return self._iterator

    def __next__(self) -> av.VideoFrame:
        return next(self._iterator)

    def _decode(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError) as error:
                self.failure = error
                packet = None
            try:
                # without a packet: what the decoder still holds
                frames = self.stream.decode(packet) if packet is None else packet.decode()
            except av.error.EOFError:
                frames = []
            except av.error.FFmpegError:
                frames, self.damaged = [], self.damaged + 1
            for frame in frames:
                self.damaged += frame.is_corrupt
                yield frame
            if packet is None:
                return


def _frames(
    reader: _Reader, first: av.VideoFrame, path: Path, fps: float, on_error: ErrorHandler
) -> Iterator[SourceImage]:
    frame, index, end, last = first, 0, 0.0, -1.0
    begin = first.time
    try:
        while frame is not None:
            moment = index / fps if frame.time is None or begin is None else frame.time - begin
            if moment <= last:  # times that stand still or run back are of no use
                moment = last + 1 / fps
            last, end = moment, moment + _lasts(frame, fps)
            pixels = _pixels(frame, reader.reformatter)
            yield SourceImage(pixels, index, str(path), time=moment, of_video=True)
            frame, index = next(reader, None), index + 1
    finally:
        reader.close()
    promised, where = reader.seconds, printable(path)
    if reader.failure is not None or (
        promised is not None and begin is not None and promised - end > 1.5 / fps + 0.01
    ):
        after = f'after {index} frames ({end:.2f} s'
        after += f' of {promised:.2f} s)' if promised else ')'
        on_error(
            InputError(
                f'{where}: the video ends too early, {after}: the file is cut off or '
                'damaged; what was read is kept'
            )
        )
    elif reader.damaged:
        on_error(
            InputError(
                f'{where}: {reader.damaged} parts of the video are damaged; the frames '
                'that could be read are kept'
            )
        )


def _lasts(frame: av.VideoFrame, fps: float) -> float:
    """Seconds for which a frame is shown."""
    if frame.duration and frame.time_base:
        return float(frame.duration * frame.time_base)
    return 1 / fps


def _pixels(frame: av.VideoFrame, reformatter: av.video.reformatter.VideoReformatter) -> np.ndarray:
    """RGB, turned as the file says, transparent parts on white."""
    if any(component.is_alpha for component in frame.format.components):
        pixels = reformatter.reformat(frame, format='rgba').to_ndarray()
        share = pixels[..., 3:].astype(np.uint16)
        pixels = ((pixels[..., :3] * share + 255 * (255 - share)) / 255).round().astype(np.uint8)
    else:
        pixels = reformatter.reformat(frame, format='rgb24').to_ndarray()
    quarters = round(frame.rotation / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels


def _count(path: Path) -> int:
    """Frames of a video whose header does not tell, by going through the file."""
    with open(path, 'rb') as file, av.open(file) as container:
        return sum(bool(packet.size) for packet in container.demux(video=0))


def _camera_frames(capture: cv2.VideoCapture, first: np.ndarray) -> Iterator[SourceImage]:
    frame, index, begin = first, 0, time.monotonic()
    try:
        while frame is not None:
            moment = time.monotonic() - begin
            yield SourceImage(
                cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), index, time=moment, of_video=True
            )
            done, frame = capture.read()
            frame, index = frame if done else None, index + 1
    finally:
        capture.release()


def _short(error: BaseException) -> str:
    return ' '.join(str(getattr(error, 'strerror', None) or error).split())[:120]
