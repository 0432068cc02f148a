# SPDX-License-Identifier: Apache-2.0
"""Pixels of an image file, the same for every format: upright, opaque, whole.

Decoders differ in all three. Here the EXIF orientation is applied by us whatever the format,
transparent pixels are laid on white, and damage that a decoder would only mutter about (it then
fills the rest with grey) is refused. What no decoder can notice stays unnoticed: lossy WebP, BMP
and uncompressed TIFF have no check sums.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import ExifTags, Image, UnidentifiedImageError

from fastmetro_mm.errors import InputError
from fastmetro_mm.images.formats import HEIF_FIX, kind_of, what_else
from fastmetro_mm.images.jpeg import JpegHeader, read_header

WORKING_PIXELS = 40_000_000
"""Larger images are worked on at 1/2, 1/4 or 1/8 of their size."""
MOST_PIXELS = 1_000_000_000
"""Larger images are refused; other formats than JPEG from Pillow's bound (179 million) on."""
_DEEP_MODES = ('I', 'F', 'I;16', 'I;16B', 'I;16L', 'I;16N')  # Pillow would cut their values off
_EXTRANEOUS = re.compile(r'(\d+) extraneous bytes before marker 0xd9')


@dataclass
class DecodedImage:
    """Pixels of an image file."""

    # RGB, upright; reduced for images of more than :data:`WORKING_PIXELS`. (H, W, 3) uint8
    pixels: np.ndarray
    size: tuple[int, int]  # width and height of the upright image in full, pixels
    exif: Image.Exif  # EXIF data; empty where there are none
    frames: int = 1  # how many images the file holds; the first one is used


def decode_whole(data: bytes, reduced: bool = True) -> DecodedImage:
    """Decode an image a user gave; whatever is wrong with it is refused.

    Args:
        data: The file.
        reduced: Whether images of more than :data:`WORKING_PIXELS` may come out smaller.

    Raises:
        InputError: If it is no image, damaged, cut off or too large; the message goes after the
            name of the file.
    """
    start = data[:400]
    kind = kind_of(start)
    if kind == 'jpeg':
        return _decode_jpeg(data, reduced)
    if kind == 'heif':
        return _decode_heif(data, reduced)
    if kind == 'video':
        raise InputError(
            'a video, not an image: give the file itself, not in a list of images, or '
            'take a frame out of it'
        )
    other = what_else(start)
    if not kind and other is not None:
        raise InputError(f'unreadable image, {other}')
    return _decode_other(data, reduced)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror pixels as the EXIF orientation says.

    Args:
        pixels: As stored. (H, W, C)
        orientation: 1 to 8; other numbers mean nothing.

    Returns:
        Contiguous pixels as they are to be seen. (H, W, C) or (W, H, C)

    Reference:
        EXIF 2.32, tag 274.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def reduction_for(size: tuple[int, int]) -> int:
    """Factor (1, 2, 4 or 8) by which an image of this width and height is read smaller."""
    return next(
        (factor for factor in (1, 2, 4) if size[0] * size[1] <= WORKING_PIXELS * factor**2), 8
    )


def _decode_jpeg(data: bytes, reduced: bool) -> DecodedImage:
    header = read_header(data)
    if header.size is None or not all(header.size):
        raise InputError('damaged JPEG, it has no header: fetch the file again')
    if header.end is None:
        raise InputError('the JPEG is cut off: fetch the file again')
    _check_size(header.size, MOST_PIXELS)
    factor = reduction_for(header.size) if reduced else 1
    pixels = _jpeg_pixels(data, header, factor)
    exif = Image.Exif()
    try:
        exif.load(header.exif or b'')
        orientation = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow raises a dozen kinds for malformed EXIF data, which say nothing
        exif, orientation = Image.Exif(), 1
    width, height = header.size
    size = (height, width) if orientation in (5, 6, 7, 8) else (width, height)
    return DecodedImage(upright(pixels, orientation), size, exif)


def _jpeg_pixels(data: bytes, header: JpegHeader, factor: int) -> np.ndarray:
    if header.components != 4:  # libjpeg-turbo gives no RGB for CMYK
        options: dict[str, Any] = dict(colorspace='RGB', min_factor=factor)
        if factor > 1 and header.size is not None:
            width, height = header.size
            options |= dict(min_height=-(-height // factor), min_width=-(-width // factor))
        try:
            return simplejpeg.decode_jpeg(data, **options)
        except ValueError as error:
            message = str(error)
            if 'Corrupt' in message or 'Premature' in message:
                if not _is_padding(message, data, header.end or len(data)):
                    raise InputError(
                        f'damaged JPEG ({message}): fetch the file again, or save it '
                        'anew if it looks right'
                    ) from None
                return simplejpeg.decode_jpeg(data, strict=False, **options)
    return _opencv_pixels(data, factor)


def _is_padding(message: str, data: bytes, end: int) -> bool:
    """Whether all that is wrong are equal bytes before the end, as some cameras write them."""
    found = _EXTRANEOUS.search(message)
    return found is not None and len(set(data[end - int(found[1]) : end])) <= 1


def _decode_heif(data: bytes, reduced: bool) -> DecodedImage:
    try:
        import pillow_heif
    except ImportError:
        raise InputError(f'cannot be read yet: {HEIF_FIX}') from None
    try:
        file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
        _check_size(file.size, MOST_PIXELS)
        exif = Image.Exif()
        if file.info.get('exif'):
            exif.load(file.info['exif'])
        # libheif turns the image itself; its EXIF data still tell of the turn
        return _finished(_opaque(file.to_pillow()), 1, exif, 1, reduced)
    except (ValueError, EOFError, RuntimeError, OSError, SyntaxError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f'damaged HEIC ({_short(error)}): fetch the file again') from None


def _decode_other(data: bytes, reduced: bool) -> DecodedImage:
    exif, orientation, frames, pixels = Image.Exif(), 1, 1, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of Pillow about sizes and odd metadata
            with Image.open(io.BytesIO(data)) as image:
                exif = image.getexif()
                # Pillow and OpenCV both turn TIFFs by themselves
                if image.format != 'TIFF':
                    orientation = exif.get(ExifTags.Base.Orientation, 1)
                frames = getattr(image, 'n_frames', 1)
                image.load()
                if image.mode not in _DEEP_MODES:
                    pixels = _opaque(image)
                if image.format == 'AVIF' and cv2.haveImageWriter('.avif'):
                    _opencv_pixels(data, 1)  # Pillow does not mind damage in it
    except Image.DecompressionBombError as error:
        raise InputError(
            f'too large for this format ({_short(error)}): save it smaller, or as .jpg'
        ) from None
    except UnidentifiedImageError:
        # a format that OpenCV alone may know; of a damaged PNG it would believe any size
        if kind_of(data[:400]) == 'png':
            raise InputError('damaged PNG: fetch the file again') from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
        raise InputError(
            f'damaged image ({_short(error)}): fetch the file again, or save it as .jpg or .png'
        ) from None
    if pixels is None:
        pixels = _opencv_pixels(data, 1)
    return _finished(pixels, orientation, exif, frames, reduced)


def _finished(
    pixels: np.ndarray, orientation: int, exif: Image.Exif, frames: int, reduced: bool
) -> DecodedImage:
    pixels = upright(pixels, orientation)
    size = pixels.shape[1], pixels.shape[0]
    factor = reduction_for(size) if reduced else 1
    if factor > 1:
        smaller = -(-size[0] // factor), -(-size[1] // factor)
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    return DecodedImage(pixels, size, exif, frames)


def _opaque(image: Image.Image) -> np.ndarray:
    """RGB pixels; transparent ones are laid on white."""
    if image.has_transparency_data:
        image = image.convert('RGBA')
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    return np.array(image.convert('RGB'))


def _opencv_pixels(data: bytes, factor: int) -> np.ndarray:
    flags = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    try:
        pixels = cv2.imdecode(
            np.frombuffer(data, np.uint8), flags[factor] | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InputError('unreadable image: save it again as .jpg or .png')
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)


def _check_size(size: tuple[int, int], most: int) -> None:
    if size[0] * size[1] > most:
        raise InputError(f'{size[0]}x{size[1]} pixels are too many: save it smaller')


def _short(error: BaseException) -> str:
    return ' '.join(str(error).split())[:120] or type(error).__name__
