# SPDX-License-Identifier: Apache-2.0
"""Writing pictures so that nobody ever finds half of one."""

import os
from pathlib import Path

import cv2
import numpy as np


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
        raise ValueError(f'{path}: no picture format has this ending; use .jpg or .png')
    done, data = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]))
    if not done:
        raise ValueError(f'{path}: a picture of shape {image.shape} cannot be encoded')
    write_bytes(path, data.tobytes())
    return path


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside it, then rename it.

    Args:
        path: File to write; its folder is made if missing.
        data: Content.

    Raises:
        OSError: If the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
