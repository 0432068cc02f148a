# SPDX-License-Identifier: Apache-2.0
"""One image from whatever holds it: a file, a web address, its bytes, or an array."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import cv2
import numpy as np
from PIL import Image

from fastmetro_mm.apis.guarding import notice, printable
from fastmetro_mm.errors import InputError, MissingFileError
from fastmetro_mm.images.decoding import decode_whole

_WEB_SECONDS = 30
_MOST_BYTES = 2_000_000_000
_FORMS = 'a path, web address, encoded bytes, or array (H, W, 3) uint8 BGR'


@dataclass
class SourceImage:
    """One image or video frame."""

    pixels: np.ndarray  # RGB, upright; smaller than ``size`` for very large images. (H, W, 3) uint8
    index: int  # number in the list, folder or video
    path: str | None = None  # file it came from; None for arrays, bytes and cameras
    # width and height in full, pixels; those of ``pixels`` if not given
    size: tuple[int, int] = None  # pyright: ignore[reportAssignmentType]  # set below
    time: float | None = None  # seconds since the first frame, of videos and cameras
    exif: Image.Exif | None = None  # EXIF data of the file
    of_video: bool = False  # whether it is a frame of a video

    def __post_init__(self) -> None:
        if self.size is None:
            self.size = self.pixels.shape[1], self.pixels.shape[0]

    @property
    def reduction(self) -> np.ndarray:
        """Full pixels to a pixel of ``pixels``, along x and y: (2,)."""
        return np.array(self.size) / (self.pixels.shape[1], self.pixels.shape[0])

    @property
    def where(self) -> str:
        """Name for messages."""
        if self.path is None:
            return f'image {self.index}'
        return printable(self.path) + (f', frame {self.index}' if self.of_video else '')


def read_image(item: Any, index: int = 0) -> SourceImage:
    """Read one image.

    Args:
        item: Path, address (file, http, https), encoded bytes, or BGR array (H, W, 3) uint8.
        index: Its number.

    Returns:
        The image, upright and opaque.

    Raises:
        InputError: If it cannot be read or decoded.
        MissingFileError: If there is no such file.
    """
    if isinstance(item, np.ndarray):
        return SourceImage(_checked_array(item, index), index)
    if isinstance(item, (bytes, bytearray, memoryview)):
        return _decoded(bytes(item), f'image {index} ({len(item)} bytes)', index, None)
    if not isinstance(item, (str, Path)):
        raise InputError(f'image {index} is a {type(item).__name__}: give {_FORMS}')
    name = str(item)
    if name.startswith('file://'):
        name = url2pathname(urlparse(name).path)
    if '://' in name and not Path(name).exists():
        return _decoded(_download(name), name, index, name)
    path = checked_path(name)
    if path.is_dir():
        raise InputError(
            f'{printable(path)}: a folder where an image was expected: give it by itself'
        )
    if not path.exists():
        raise MissingFileError(f'{printable(path)}: no such image: check the path')
    if not path.is_file():
        raise InputError(f'{printable(path)}: neither a file nor a folder: give an image file')
    return _decoded(path.read_bytes(), printable(path), index, str(path))


def checked_path(name: str) -> Path:
    """The path a user means; ``~`` is the home folder unless a file has such a name.

    Args:
        name: As it was given.

    Returns:
        The path, which need not exist.

    Raises:
        InputError: If it cannot be a path.
    """
    if '\0' in name or len(name) > 4096:
        raise InputError(f'{name[:60]!r}...: this is no path: give {_FORMS}')
    path = Path(name)
    try:
        return path if path.exists() else path.expanduser()
    except RuntimeError:  # ~somebody who is not known here
        return path
    except OSError as error:  # a part of it is too long
        raise InputError(f'{printable(name)[:200]}: {error.strerror}: check the path') from None


def _checked_array(item: np.ndarray, index: int) -> np.ndarray:
    if item.ndim != 3 or item.shape[2] != 3 or item.dtype != np.uint8 or item.size == 0:
        raise InputError(f'image {index} is {item.dtype} {item.shape}: give uint8 (H, W, 3) BGR')
    return cv2.cvtColor(np.ascontiguousarray(item), cv2.COLOR_BGR2RGB)


def _decoded(data: bytes, where: str, index: int, path: str | None) -> SourceImage:
    try:
        found = decode_whole(data)
    except InputError as error:
        raise InputError(f'{where}: {error}') from None
    if found.frames > 1:
        notice(f'{where}: holds {found.frames} images, the first one is used')
    if found.pixels.shape[1::-1] != found.size:
        notice(
            f'{where}: {found.size[0]}x{found.size[1]} is worked on at '
            f'{found.pixels.shape[1]}x{found.pixels.shape[0]}; results are in its full pixels'
        )
    return SourceImage(found.pixels, index, path, found.size, exif=found.exif)


def _download(address: str) -> bytes:
    if urlparse(address).scheme not in ('http', 'https'):
        raise InputError(
            f'{address}: addresses of this kind cannot be read: use file, http or https'
        )
    request = urllib.request.Request(address, headers={'User-Agent': 'fastmetro_mm'})
    try:
        with urllib.request.urlopen(request, timeout=_WEB_SECONDS) as answer:
            data = answer.read(_MOST_BYTES + 1)
    except (OSError, ValueError, EOFError) as error:  # those of urllib and http are among them
        raise InputError(f'{address}: cannot be read ({error}): check the address') from None
    if len(data) > _MOST_BYTES:
        raise InputError(f'{address}: more than {_MOST_BYTES / 1e9:g} GB: download it yourself')
    return data
