# SPDX-License-Identifier: Apache-2.0
"""Writing pictures so that nobody ever finds half of one."""

import os
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.errors import InputError
from fastmetro_mm.fileio import write_atomically


def write_picture(path: str | os.PathLike, image: np.ndarray) -> Path:
    """Encode a picture by its file name's ending and write it in one step.

    Args:
        path: File to write; its folder is made if missing.
        image: RGB. (H, W, 3) uint8

    Returns:
        The path.

    Raises:
        ValueError: If the ending names no picture format.
        OSError: If the folder cannot be written.
    """
    path = Path(path)
    if not path.suffix or not cv2.haveImageWriter(path.name):
        raise InputError(f'{path}: no picture format has this ending; use .jpg or .png')
    done, data = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]))
    if not done:
        raise InputError(f'{path}: a picture of shape {image.shape} cannot be encoded')
    return write_atomically(path, data.tobytes())
