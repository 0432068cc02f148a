# SPDX-License-Identifier: Apache-2.0
"""Writes an .mp4 frame by frame: H.264 where an encoder is at hand, MPEG-4 everywhere else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from fastmetro_mm.errors import InputError


class VideoWriter:
    """Video file that grows with every frame and appears under its name when it is complete.

    With the program ``ffmpeg`` on the path the video is H.264 (plays in browsers); otherwise
    OpenCV's own MPEG-4, which its builds always have. Use as a context manager.

    Args:
        path: File to write, ending in ``.mp4``; its folder is made if missing.
        fps: Frames a second.

    Raises:
        InputError: If the ending is another one.
        OSError: If the folder cannot be written.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != '.mp4':
            raise InputError(f'{path}: videos are written as .mp4: change the ending')
        self.fps = fps
        self.frames = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self.path.with_name(f'.{self.path.stem}.{os.getpid()}.mp4')
        self._temporary.touch()  # fails now, not after the first frame, if it cannot be written
        self._size: tuple[int, int] | None = None
        self._opencv: cv2.VideoWriter | None = None
        self._ffmpeg: subprocess.Popen | None = None

    def write(self, image: np.ndarray) -> None:
        """Add a frame.

        Args:
            image: RGB, the same size for all frames; an odd row or column is cut off, which the
                encoders cannot take. (H, W, 3) uint8

        Raises:
            InputError: If the size differs from that of the first frame, or the encoder stops.
        """
        height, width = (side - side % 2 for side in image.shape[:2])
        if self._size is None:
            self._size = (width, height)
            self._open(width, height)
        if self._size != (width, height):
            raise InputError(f'{self.path}: frame {self.frames} is {width}x{height}, the first '
                             f'was {self._size[0]}x{self._size[1]}')
        bgr = np.ascontiguousarray(image[:height, :width, ::-1])
        if self._ffmpeg is not None:
            try:
                self._ffmpeg.stdin.write(bgr.tobytes())
            except BrokenPipeError:
                raise InputError(f'{self.path}: ffmpeg stopped at frame {self.frames}: check free '
                                 'space') from None
        else:
            self._opencv.write(bgr)
        self.frames += 1

    def close(self) -> None:
        """Complete the file; without a single frame there is none.

        Raises:
            InputError: If the encoder fails.
        """
        failed = False
        if self._ffmpeg is not None:
            self._ffmpeg.stdin.close()
            failed = self._ffmpeg.wait() != 0
            self._ffmpeg = None
        if self._opencv is not None:
            self._opencv.release()
            self._opencv = None
        if self.frames and not failed:
            os.replace(self._temporary, self.path)
        self._temporary.unlink(missing_ok=True)
        if failed:
            raise InputError(f'{self.path}: ffmpeg could not complete the video: check free space')

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
            return
        if self._ffmpeg is not None:
            self._ffmpeg.kill()
            self._ffmpeg.wait()
        if self._opencv is not None:
            self._opencv.release()
        self._temporary.unlink(missing_ok=True)

    def _open(self, width: int, height: int) -> None:
        program = shutil.which('ffmpeg')
        if program is not None and _has_h264(program):
            command = [
                program, '-loglevel', 'error', '-y', '-f', 'rawvideo', '-pix_fmt', 'bgr24',
                '-s', f'{width}x{height}', '-r', f'{self.fps:.6f}', '-i', '-', '-an',
                '-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-movflags', '+faststart',
                str(self._temporary)]
            self._ffmpeg = subprocess.Popen(command, stdin=subprocess.PIPE)
            return
        self._opencv = cv2.VideoWriter(
            str(self._temporary), cv2.VideoWriter_fourcc(*'mp4v'), self.fps, (width, height))
        if not self._opencv.isOpened():
            raise InputError(f'{self.path}: OpenCV cannot write .mp4 here: install ffmpeg')


def _has_h264(program: str) -> bool:
    """Whether this ffmpeg was built with an H.264 encoder."""
    answer = subprocess.run(
        [program, '-hide_banner', '-encoders'], capture_output=True, text=True, check=False)
    return 'libx264' in answer.stdout
