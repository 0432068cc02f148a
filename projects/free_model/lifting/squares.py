# SPDX-License-Identifier: Apache-2.0
"""Squares of photos and films, as the network takes them."""

import cv2
import numpy as np
import torch

from fastmetro_mm.models.backbones.movenet import INPUT_MEAN

CROP = 256
SURE = 0.3
"""Score from which MoveNet's key points count."""


def cut_square(image: np.ndarray, center: np.ndarray, side: float) -> np.ndarray:
    """The square of ``side`` pixels about ``center`` of a BGR image, (256, 256, 3) uint8 RGB."""
    factor = CROP / side
    matrix = np.column_stack([factor * np.eye(2), CROP / 2 - factor * np.asarray(center)])
    matrix[:, 2] += 0.5 * factor - 0.5  # OpenCV counts from the centre of the first pixel
    return cv2.warpAffine(image, matrix, (CROP, CROP), flags=cv2.INTER_LINEAR)[..., ::-1]


def as_input(crop: np.ndarray) -> torch.Tensor:
    """A crop as MoveNet takes it: (1, 3, 256, 256)."""
    pixels = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float()
    return (pixels - INPUT_MEAN) / INPUT_MEAN
