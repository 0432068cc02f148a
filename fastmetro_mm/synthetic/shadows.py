# SPDX-License-Identifier: Apache-2.0
"""The dark spot on the ground where somebody stands."""

import cv2
import numpy as np


def contact_shadow(rng: np.random.Generator, image: np.ndarray, box: np.ndarray) -> None:
    """Darkens the ground under the lowest points of the figure, in place.

    Args:
        rng: Source of randomness.
        image: (H, W, 3) float32 RGB, 0..1; changed in place.
        box: (4,) left, top, right, bottom of the figure, pixels.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    center = (round((box[0] + box[2]) / 2), round(box[3] - 0.01 * height))
    axes = (max(1, round(0.45 * width)), max(1, round(0.04 * height + 0.06 * width)))
    shade = np.zeros(image.shape[:2], dtype=np.float32)
    cv2.ellipse(shade, center, axes, 0, 0, 360, float(rng.uniform(0.15, 0.55)), -1)
    image *= 1.0 - cv2.blur(shade, (2 * (axes[1] // 2) + 1,) * 2)[..., None]
