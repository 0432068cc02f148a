# SPDX-License-Identifier: Apache-2.0
"""A whole image at another size, on a canvas that networks with a stride of 32 take."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor


def letterbox(
    image: np.ndarray, longer: int, mean: float | Sequence[float], std: float | Sequence[float]
) -> tuple[Tensor, np.ndarray]:
    """Resize an image without squashing it; the mean's colour is added below and on the right.

    Args:
        image: RGB. (H, W, 3) uint8
        longer: Its longer side on the canvas, pixels.
        mean: Of all channels or each, RGB.
        std: Of all channels or each, RGB.

    Returns:
        Normalised canvas (1, 3, H', W') float32, sides up to the next multiple of 32; and pixels
        of the image to a pixel of the canvas along x and y (2,).
    """
    height, width = image.shape[:2]
    scale = longer / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shown = cv2.resize(image, (columns, rows), interpolation=how)
    canvas = np.zeros((-(-rows // 32) * 32, -(-columns // 32) * 32, 3), np.float32)
    canvas[:rows, :columns] = (shown - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    back = np.array([width / columns, height / rows], np.float32)
    return torch.from_numpy(canvas).permute(2, 0, 1)[None], back
