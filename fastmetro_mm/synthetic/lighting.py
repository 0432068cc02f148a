# SPDX-License-Identifier: Apache-2.0
"""Light on the person, and what a camera does to the finished image."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Light:
    """Ambient light and one distant lamp."""

    direction: np.ndarray  # (3,) unit vector towards the lamp, camera axes
    ambient: np.ndarray  # (3,) RGB strength from everywhere
    direct: np.ndarray  # (3,) RGB strength of the lamp

    def shade(self, colors: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Lights (P, 3) colours with outward (P, 3) normals, camera axes."""
        normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        facing = normals @ self.direction
        # Light wraps a little around the edge, as sky and walls scatter it.
        diffuse = np.maximum(0.0, (facing + 0.25) / 1.25)[:, None]
        # Less of the surroundings reaches surfaces that face the ground.
        sky = (0.75 - 0.25 * normals[:, 1])[:, None]
        return colors * (self.ambient * sky + self.direct * diffuse)


def sample_light(rng: np.random.Generator) -> Light:
    """A lamp from above, mostly on the camera's side, warm or cold, hard or soft."""
    height, around = rng.uniform(0.15, 1.35), rng.normal(0.0, 1.1)
    direction = np.array(
        [np.cos(height) * np.sin(around), -np.sin(height), -np.cos(height) * np.cos(around)]
    )
    warmth = rng.normal(0.0, 0.06) * np.array([1.0, 0.0, -1.0])
    ambient = rng.uniform(0.35, 0.75)
    return Light(
        direction.astype(np.float32),
        (ambient * (1 - 0.5 * warmth)).astype(np.float32),
        ((rng.uniform(1.10, 1.45) - ambient) * (1 + warmth)).astype(np.float32),
    )


def finish_photo(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Lens blur, exposure, white balance, contrast and sensor noise.

    Args:
        rng: Source of randomness.
        image: (H, W, 3) float32 RGB, 0..1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    sharp = rng.uniform(0.35, 0.6) if rng.random() < 0.85 else rng.uniform(0.6, 1.4)
    image = cv2.GaussianBlur(image, (0, 0), sharp)
    gain = rng.normal(1.0, 0.10) * rng.normal(1.0, 0.03, 3)
    contrast, level = rng.normal(1.0, 0.10), rng.normal(0.0, 0.02)
    image *= (255.0 * gain * contrast).astype(np.float32)
    image += np.float32(255.0 * (level + 0.45 * (1.0 - contrast)))
    # A few random bytes a pixel are enough for noise, and quick; their mean is taken off.
    noise = rng.integers(0, 256, image.shape[:2], dtype=np.uint8).astype(np.float32) - 127.5
    image += (noise * rng.uniform(0.005, 0.06))[..., None].astype(np.float32)
    return np.clip(image, 0.0, 255.0).astype(np.uint8)
