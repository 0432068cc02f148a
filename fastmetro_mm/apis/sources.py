# SPDX-License-Identifier: Apache-2.0
"""Images one after another from files, folders, lists, videos and cameras."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.apis.guarding import ErrorHandler, guarded, notice, printable
from fastmetro_mm.apis.image_reading import SourceImage, checked_path, read_image
from fastmetro_mm.apis.source import Source
from fastmetro_mm.errors import InputError, MissingFileError
from fastmetro_mm.images.formats import IMAGE_ENDINGS, VIDEO_ENDINGS, kind_of
from fastmetro_mm.result_marks import is_result

_WEBCAM = re.compile(r'webcam:?(\d*)', re.IGNORECASE)


_MISSING = '{}: no such image, video or folder: check the path'


def open_source(inputs: Any, on_error: ErrorHandler) -> Source:
    """Find out what the input is.

    Args:
        inputs: A source, which is returned as it is; or an image file, web address, encoded
            bytes, folder, glob pattern, video file, webcam number or ``'webcam:N'``, array
            (H, W, 3) uint8 **BGR** as OpenCV reads it, or a list of image files, bytes and
            arrays.
        on_error: Called with the error of an image that cannot be read; the others go on.

    Returns:
        The source; images are read one by one.

    Raises:
        MissingFileError: If there is no such file.
    """
    if isinstance(inputs, Source):
        return inputs
    if isinstance(inputs, (bytes, bytearray, memoryview)) or (
        isinstance(inputs, np.ndarray) and inputs.ndim != 4
    ):
        return _files([inputs], on_error, '')
    if isinstance(inputs, (int, np.integer)) and not isinstance(inputs, bool):
        return _webcam(int(inputs))
    if isinstance(inputs, (str, Path)):
        return _open_path(str(inputs), on_error)
    if isinstance(inputs, (Sequence, np.ndarray)):
        if len(inputs) == 0:
            raise InputError('the list of images is empty: give at least one')
        source = _files(list(inputs), on_error, f'list of {len(inputs)} images')
        source.in_list = True
        return source
    raise InputError(
        f'cannot read images from a {type(inputs).__name__}: give a path, array '
        '(H, W, 3), encoded bytes, list, folder, glob, video or webcam number'
    )


def _open_path(name: str, on_error: ErrorHandler) -> Source:
    path = checked_path(name)
    if path.is_dir():
        return _folder(path, sorted(path.iterdir()), on_error)
    if path.is_file():
        with open(path, 'rb') as file:
            kind = kind_of(file.read(400))
        if kind == 'video' or (not kind and path.suffix.lower() in VIDEO_ENDINGS):
            from fastmetro_mm.apis.videos import open_video  # FFmpeg: not for images

            return open_video(path, on_error)
        return _files([path], on_error, name)
    webcam = _WEBCAM.fullmatch(name)
    if webcam is not None and not path.exists():
        return _webcam(int(webcam[1] or 0))
    if '://' in name:
        return _files([name], on_error, name)
    if name.lower().startswith('webcam:'):
        raise InputError(f"{name!r}: expected a webcam as a number or 'webcam:0'")
    if glob.has_magic(name):
        found = sorted(Path(item) for item in glob.glob(str(path), recursive=True))
        if not found:
            raise InputError(f'{printable(name)}: no file fits this pattern')
        return _folder(path, found, on_error)
    if path.exists():
        raise InputError(
            f"{printable(name)}: neither a file nor a folder: for a camera give 'webcam:0'"
        )
    raise MissingFileError(_MISSING.format(printable(name)))


def missing_file(name: str) -> MissingFileError | None:
    """Whether a name on a command line is that of a file which is not there.

    Args:
        name: As :func:`open_source` takes it.

    Returns:
        What :func:`open_source` would raise; None if it may find something, without a look.

    Raises:
        InputError: If it is no path at all.
    """
    path = checked_path(name)
    other = _WEBCAM.fullmatch(name) or '://' in name or glob.has_magic(name)
    if other or path.exists() or name.lower().startswith('webcam:'):
        return None
    return MissingFileError(_MISSING.format(printable(name)))


def _webcam(number: int) -> Source:
    from fastmetro_mm.apis.videos import open_webcam

    return open_webcam(number)


def _folder(path: Path, entries: Sequence[Path], on_error: ErrorHandler) -> Source:
    """The images among files; what is left out is counted."""
    files, others = [], Counter()
    for entry in entries:
        ending = entry.suffix.lower()
        if entry.is_dir():
            others['folder'] += 1
        elif entry.name.startswith('.'):
            others['hidden file'] += 1
        elif ending in VIDEO_ENDINGS:
            others[f'{ending} (videos go by themselves)'] += 1
        elif ending not in IMAGE_ENDINGS:
            others[ending or 'without an ending'] += 1
        elif is_result(entry):
            others['result of this package'] += 1
        else:
            files.append(entry)
    left_out = ', '.join(f'{count} {what}' for what, count in sorted(others.items()))
    where = printable(path)
    if not files:
        raise InputError(
            f'{where}: no images there ({left_out or "it is empty"}); endings looked '
            f'for: {" ".join(IMAGE_ENDINGS)}'
        )
    if left_out:
        notice(f'{where}: {len(files)} images, left out: {left_out}')
    return _files(files, on_error, str(path))


def _files(items: Sequence[Any], on_error: ErrorHandler, name: str) -> Source:
    names = [str(item) if isinstance(item, (str, Path)) else None for item in items]
    return Source(_read_each(items, on_error), name, names, length=len(items))


def _read_each(items: Sequence[Any], on_error: ErrorHandler) -> Iterator[SourceImage]:
    for index, item in enumerate(items):
        image = None
        where = printable(item) if isinstance(item, (str, Path)) else f'image {index}'
        with guarded(where, on_error):
            image = read_image(item, index)
        if image is not None:
            yield image
