# SPDX-License-Identifier: Apache-2.0
"""Things in front of the person: boxes, discs, blobs and bars with their own texture."""

from collections.abc import Callable

import cv2
import numpy as np

from fastmetro_mm.synthetic.backgrounds import random_color, smooth_noise


def _outline(rng: np.random.Generator, center: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Points (K, 2) around an occluder, pixels."""
    kind = rng.choice(4, p=[0.35, 0.2, 0.25, 0.2])
    angle = float(rng.uniform(-25, 25))
    if kind == 0:
        return cv2.boxPoints((center.tolist(), (2 * reach).tolist(), angle))
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    if kind == 1:
        return center + reach * circle
    if kind == 2:  # a blob: a circle whose radius wanders
        waves = sum(
            rng.normal(0, 0.25 / k) * np.cos(k * turns + rng.uniform(0, 6.3)) for k in (1, 2, 3, 4)
        )
        return center + reach * circle * np.clip(1.0 + waves, 0.3, 1.8)[:, None]
    bar = (0.25 * reach.min(), 8 * reach.max())  # a pole or a rail through the whole image
    return cv2.boxPoints((center.tolist(), bar, angle + 90.0 * rng.integers(2)))


def draw_occluders(
    rng: np.random.Generator,
    image: np.ndarray,
    box: np.ndarray,
    body_mask: np.ndarray,
    most: float = 0.45,
    surface: Callable[[np.random.Generator], np.ndarray] | None = None,
) -> float:
    """Draws one to three occluders over the person, in place.

    Args:
        rng: Source of randomness.
        image: (H, W, 3) float32 RGB, 0..1; changed in place.
        box: (4,) left, top, right, bottom of the person, pixels.
        body_mask: (H, W) bool, where the person is seen.
        most: An occluder is left out if the person would be hidden by more than this share.
        surface: Gives (H, W, 3) images to cut the occluders from; two random colours if None.

    Returns:
        The share of the person's pixels that is hidden, 0..1.
    """
    height, width = image.shape[:2]
    extent = np.maximum(box[2:] - box[:2], 8.0)
    hidden = np.zeros((height, width), dtype=np.uint8)
    pixels = max(1, int(body_mask.sum()))
    share = 0.0
    for _ in range(rng.integers(1, 4)):
        center = box[:2] + rng.uniform(0.0, 1.0, 2) * extent
        if rng.random() < 0.35:  # furniture usually hides the legs
            center[1] = box[1] + rng.uniform(0.75, 1.1) * extent[1]
        reach = rng.uniform(0.05, 0.28, 2) * extent.max()
        shape = np.zeros((height, width), dtype=np.uint8)
        points = np.round(_outline(rng, center, reach)).astype(np.int32)
        cv2.fillPoly(shape, [points], 255, lineType=cv2.LINE_AA)
        both = np.maximum(hidden, shape)
        if surface is None:
            color, second = random_color(rng, 0.8), random_color(rng, 0.8)
            grain = smooth_noise(rng, (width, height), (3, 12, 48))
        if np.count_nonzero((both > 127) & body_mask) > most * pixels:
            continue
        hidden = both
        share = np.count_nonzero((hidden > 127) & body_mask) / pixels
        alpha = (shape.astype(np.float32) / 255.0)[..., None]
        if surface is None:
            mix = np.clip(0.5 + 0.8 * grain, 0, 1)[..., None] * rng.uniform(0.1, 0.9)
            image += alpha * (color * (1 - mix) + second * mix - image)
        else:
            image += alpha * (surface(rng) - image)
    return float(share)
