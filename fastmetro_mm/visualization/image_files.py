# SPDX-License-Identifier: Apache-2.0
"""Writing images so that nobody ever finds half of one."""

import os
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.errors import InputError
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.images.jpeg import with_comment
from fastmetro_mm.result_marks import MARK

_JPEG = ('.jpg', '.jpeg')
_ENDINGS = (*_JPEG, '.png', '.webp', '.bmp', '.tif', '.tiff')


def write_image(path: str | os.PathLike, image: np.ndarray) -> Path:
    """Encode an image by its file name's ending and write it in one step.

    Args:
        path: File to write; its folder is made if missing. JPEGs get a comment that tells them
            from a user's own.
        image: RGB. (H, W, 3) uint8

    Returns:
        The path.

    Raises:
        InputError: If the ending names no image format, or the image has no pixels.
        OSError: If the folder cannot be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in _ENDINGS:  # OpenCV must not be asked: it crashes on names that are no UTF-8
        raise InputError(f'{path}: no image format has this ending; use .jpg or .png')
    try:
        done, data = cv2.imencode(ending, np.ascontiguousarray(image[..., ::-1]))
    except cv2.error:
        done = False
    if not done:
        raise InputError(f'{path}: an image of shape {image.shape} cannot be encoded as {ending}')
    data = data.tobytes()
    return write_atomically(path, with_comment(data, MARK) if ending in _JPEG else data)
