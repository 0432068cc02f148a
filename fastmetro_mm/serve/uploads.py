# SPDX-License-Identifier: Apache-2.0
"""The door: what an uploaded file is, by its bytes and its header, before anything is decoded."""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import av
import av.container
import av.error
import av.video
from PIL import Image

from fastmetro_mm.images.formats import HEIF_FIX, kind_of, what_else
from fastmetro_mm.serve.limits import Limits
from fastmetro_mm.serve.refusals import Refusal

_LONGEST_NAME = 100


@dataclass(frozen=True)
class Upload:
    """What the header of a file says."""

    is_video: bool  # whether it is a video
    size: tuple[int, int]  # width and height as stored, pixels
    frames: int | None  # how many frames it promises, None if it does not say


def safe_name(name: str) -> str:
    """A name for files and messages; nothing of a path is left.

    Args:
        name: As the browser sent it: any text.

    Returns:
        Letters, digits, blanks and ``._-``; not empty, not hidden, at most 100 characters.
    """
    last = re.split(r'[/\\]', name)[-1]
    plain = re.sub(r'[^\w. -]', '_', last, flags=re.ASCII).strip(' .')
    return plain[-_LONGEST_NAME:].strip(' .') or 'upload'


def check_upload(path: Path, limits: Limits) -> Upload:
    """Find out what a file is.

    A file counts as a video by its first bytes only, never by its name: FFmpeg also reads play
    lists, and these name other files and addresses.

    Args:
        path: The file.
        limits: What is allowed.

    Returns:
        What it is.

    Raises:
        Refusal: It is empty, neither image nor video, or too large.
    """
    with open(path, 'rb') as file:
        start = file.read(400)
    if not start:
        raise Refusal(400, 'the file is empty: send an image or a video')
    kind = kind_of(start)
    if kind == 'video':
        return _video(path, limits)
    try:
        size = _heif_size(path) if kind == 'heif' else _image_size(path)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, RuntimeError):
        what = what_else(start) or 'neither an image nor a video that can be read'
        raise Refusal(415, f'the file is {what}; send a photo or a video') from None
    except Image.DecompressionBombError:
        size = (limits.image_pixels + 1, 1)
    if size[0] * size[1] > limits.image_pixels:
        raise Refusal(413, f'the image has more than {limits.image_pixels} pixels: make it smaller')
    return Upload(False, size, 1)


def _image_size(path: Path) -> tuple[int, int]:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of Pillow about sizes; they are compared here
        with Image.open(path) as image:  # reads the header alone
            return image.size


def _heif_size(path: Path) -> tuple[int, int]:
    try:
        import pillow_heif
    except ImportError:
        raise Refusal(415, f'on the server {HEIF_FIX}') from None
    return pillow_heif.open_heif(path).size


def _video(path: Path, limits: Limits) -> Upload:
    try:
        with open(path, 'rb') as file, av.open(file) as container:
            stream = container.streams.video[0]
            size = stream.codec_context.width, stream.codec_context.height
            frames = stream.frames or None
            seconds, rate = _seconds(container, stream), stream.average_rate
    except (av.error.FFmpegError, ValueError, OSError, IndexError):
        raise Refusal(415, 'the video cannot be read: convert it to .mp4') from None
    if size[0] * size[1] > limits.frame_pixels:
        raise Refusal(
            413,
            f'the frames of the video have more than {limits.frame_pixels} pixels: make it smaller',
        )
    promised = frames or (round(seconds * float(rate)) if seconds and rate else 0)
    if promised > limits.frames:
        raise Refusal(413, f'the video has more than {limits.frames} frames: send a shorter one')
    return Upload(True, size, frames)


def _seconds(container: av.container.InputContainer, stream: av.video.VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None
