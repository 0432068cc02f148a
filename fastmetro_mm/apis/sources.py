# SPDX-License-Identifier: Apache-2.0
"""Pictures one after another from files, folders, arrays, videos and cameras."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import cv2
import mmengine.fileio
import numpy as np

from fastmetro_mm.datasets.transforms.loading import decode_image
from fastmetro_mm.errors import DataRowError, InputError, MissingFileError

IMAGE_ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.jp2', '.ppm')
VIDEO_ENDINGS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv', '.gif')

ErrorHandler = Callable[[Exception], None]


@dataclass
class Picture:
    """One picture or video frame.

    Args:
        image: RGB. (H, W, 3) uint8
        index: Number in the list, folder or video.
        path: File it came from; None for arrays and cameras.
    """

    image: np.ndarray
    index: int
    path: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def where(self) -> str:
        """Name for messages."""
        return self.path or f'picture {self.index}'


@dataclass
class Source:
    """Pictures of one input, read while they are used.

    Args:
        pictures: Yields them.
        is_video: Whether they are frames of one scene, so that people can be tracked.
        is_live: Whether each must be answered at once (webcam).
        in_list: Whether the user gave a list, so that boxes come as a list too.
        length: How many there are, None if unknown.
        fps: Frames a second of a video.
    """

    pictures: Iterator[Picture]
    is_video: bool = False
    is_live: bool = False
    in_list: bool = False
    length: int | None = None
    fps: float = 25.0


def open_source(inputs: Any, on_error: ErrorHandler) -> Source:
    """Find out what the input is.

    Args:
        inputs: A source, which is returned as it is; or a picture file, web address, folder, glob
            pattern, video file, webcam number or ``'webcam:N'``, array (H, W, 3) uint8 **BGR** as
            OpenCV reads it, or a list of picture files and arrays.
        on_error: Called with the error of a picture that cannot be read; the others go on.

    Returns:
        The source; pictures are read one by one.

    Raises:
        InputError: If the input as a whole is of no use.
        FileNotFoundError: If there is no such file.
    """
    if isinstance(inputs, Source):
        return inputs
    if isinstance(inputs, np.ndarray) and inputs.ndim == 3:
        return Source(_read_each([inputs], on_error), length=1)
    if isinstance(inputs, (int, np.integer)) or (
            isinstance(inputs, str) and inputs.startswith('webcam')):
        return _open_webcam(inputs)
    if (isinstance(inputs, Sequence) and not isinstance(inputs, str)) or (isinstance(
            inputs, np.ndarray) and inputs.ndim == 4):
        if len(inputs) == 0:
            raise InputError('the list of pictures is empty: give at least one')
        return Source(_read_each(inputs, on_error), in_list=True, length=len(inputs))
    if not isinstance(inputs, (str, Path)):
        raise InputError(f'cannot read pictures from {type(inputs).__name__}: give a path, array '
                         '(H, W, 3), list, folder, glob, video or webcam number')
    return _open_path(str(inputs), on_error)


def _open_path(name: str, on_error: ErrorHandler) -> Source:
    if '://' in name:
        return Source(_read_each([name], on_error), length=1)
    path = Path(name).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_ENDINGS)
        if not files:
            raise InputError(f'{path}: no pictures in this folder; endings looked for: '
                             f'{" ".join(IMAGE_ENDINGS)}')
        return Source(_read_each(files, on_error), length=len(files))
    if path.is_file():
        if path.suffix.lower() in VIDEO_ENDINGS:
            return _open_video(path)
        return Source(_read_each([path], on_error), length=1)
    if glob.has_magic(name):
        files = sorted(glob.glob(str(path), recursive=True))
        files = [file for file in files if Path(file).suffix.lower() in IMAGE_ENDINGS]
        if not files:
            raise InputError(f'{name}: no picture fits this pattern')
        return Source(_read_each(files, on_error), length=len(files))
    raise MissingFileError(f'{name}: no such picture, video or folder: check the path')


def read_picture(item: Any, index: int) -> Picture:
    """One picture from a file, web address or array.

    Args:
        item: Path, address, or BGR array (H, W, 3) uint8.
        index: Its number.

    Returns:
        The picture; EXIF orientation is applied.

    Raises:
        InputError: If it cannot be decoded.
        FileNotFoundError: If there is no such file.
    """
    if isinstance(item, np.ndarray):
        if item.ndim != 3 or item.shape[2] != 3 or item.dtype != np.uint8 or item.size == 0:
            raise InputError(f'picture {index} is {item.dtype} {item.shape}: give uint8 '
                             '(H, W, 3) BGR')
        return Picture(cv2.cvtColor(np.ascontiguousarray(item), cv2.COLOR_BGR2RGB), index)
    name = str(item)
    if name.startswith('file://'):
        name = url2pathname(urlparse(name).path)
    if '://' not in name and not Path(name).is_file():
        raise MissingFileError(f'{name}: no such picture: check the path')
    try:
        data = mmengine.fileio.get(name)
    except OSError as error:  # also urllib's errors
        raise InputError(f'{name}: cannot be read ({error}): check the path or address') from None
    except KeyError:
        raise InputError(f'{name}: addresses of this kind cannot be read: use file, http or https'
                         ) from None
    try:
        return Picture(decode_image(data), index, name)
    except DataRowError as error:
        raise InputError(f'{name}: unreadable picture, {error}: save it again as .jpg or .png'
                         ) from None


def _read_each(items: Sequence, on_error: ErrorHandler) -> Iterator[Picture]:
    for index, item in enumerate(items):
        try:
            picture = read_picture(item, index)
        except (InputError, FileNotFoundError) as error:
            on_error(error)
            continue
        yield picture


def _open_video(path: Path) -> Source:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise InputError(f'{path}: empty or unreadable video: check that it plays, or convert it '
                         'to .mp4')
    done, first = capture.read()
    if not done:
        capture.release()
        raise InputError(f'{path}: the video has no frame that can be read: convert it to .mp4')
    fps = capture.get(cv2.CAP_PROP_FPS)
    length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return Source(
        _read_frames(capture, first, str(path)),
        is_video=True,
        length=length if length > 0 else None,
        fps=fps if 0 < fps < 1000 else 25.0,
    )


def _open_webcam(inputs: int | str) -> Source:
    text = str(inputs).removeprefix('webcam').removeprefix(':') or '0'
    if not text.isdigit():
        raise InputError(f"{inputs!r}: expected a webcam as a number or 'webcam:0'")
    capture = cv2.VideoCapture(int(text))
    done, first = capture.read() if capture.isOpened() else (False, None)
    if not done:
        capture.release()
        raise InputError(f'webcam {text} cannot be opened: check that it is plugged in and free')
    return Source(_read_frames(capture, first, None), is_video=True, is_live=True)


def _read_frames(
    capture: cv2.VideoCapture, first: np.ndarray, path: str | None
) -> Iterator[Picture]:
    frame, index = first, 0
    try:
        while frame is not None:
            yield Picture(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), index, path)
            done, frame = capture.read()
            frame, index = frame if done else None, index + 1
    finally:
        capture.release()
