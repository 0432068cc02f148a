# SPDX-License-Identifier: Apache-2.0
"""What cameras, files and painters do to an image: blur, low resolution, colours, noise."""

import cv2
import numpy as np


def _motion_blur(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), dtype=np.float32)
    angle, middle = rng.uniform(0, np.pi), (length - 1) / 2
    way = middle * np.array([np.cos(angle), np.sin(angle)])
    ends = np.round([middle - way, middle + way]).astype(int).tolist()
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _low_resolution(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    factor = float(rng.uniform(1.5, 4.5))
    small = cv2.resize(
        image,
        (max(8, round(width / factor)), max(8, round(height / factor))),
        interpolation=cv2.INTER_AREA,
    )
    way = cv2.INTER_LINEAR if rng.random() < 0.6 else cv2.INTER_CUBIC
    return cv2.resize(small, (width, height), interpolation=way)


def _recolor(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Black and white, sepia, few colours, or a painter's brush."""
    draw = rng.random()
    gray = image @ np.array([0.30, 0.59, 0.11], dtype=np.float32)
    if draw < 0.40:
        return np.repeat(gray[..., None], 3, axis=2)
    if draw < 0.60:
        tone = np.array([1.0, rng.uniform(0.80, 0.95), rng.uniform(0.55, 0.85)], dtype=np.float32)
        return np.sqrt(np.clip(gray, 0, 1))[..., None] ** rng.uniform(1.2, 2.4) * tone
    if draw < 0.75:
        levels = rng.integers(4, 9)
        return np.round(image * levels) / np.float32(levels)
    paint = np.clip(image * 255, 0, 255).astype(np.uint8)
    brush = cv2.medianBlur(paint, int(rng.choice([5, 7, 9]))).astype(np.float32) / 255
    strokes = rng.random(image.shape[:2], dtype=np.float32)
    strokes = cv2.GaussianBlur(strokes, (0, 0), sigmaX=float(rng.uniform(1, 4)), sigmaY=1.0) - 0.5
    tint = np.array([1.05, 0.97, rng.uniform(0.7, 0.95)], dtype=np.float32)
    return (brush + rng.uniform(0.2, 0.8) * strokes[..., None]) * tint


def finish_image(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Takes the image: what :func:`~fastmetro_mm.synthetic.lighting.finish_photo` does, and more.

    Args:
        rng: Source of randomness.
        image: (H, W, 3) float32 RGB, 0..1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.35, 0.7)))
    if rng.random() < 0.08:
        image = _motion_blur(rng, image)
    if rng.random() < 0.17:
        image = _low_resolution(rng, image)
    elif rng.random() < 0.10:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.8, 2.2)))
    if rng.random() < 0.07:
        image = _recolor(rng, image)
    elif rng.random() < 0.25:  # more or less colourful
        gray = image.mean(axis=2, keepdims=True)
        image = gray + (image - gray) * np.float32(rng.uniform(0.3, 1.5))
    gain = rng.normal(1.03, 0.12) * rng.normal(1.0, 0.04, 3)
    contrast, level = rng.normal(1.0, 0.12), rng.normal(0.0, 0.03)
    image = image * (gain * contrast).astype(np.float32)
    image += np.float32(level + 0.45 * (1.0 - contrast))
    if rng.random() < 0.3:
        image = np.maximum(image, 0) ** np.float32(np.exp(rng.normal(0, 0.25)))
    noise = rng.integers(0, 256, image.shape[:2], dtype=np.uint8).astype(np.float32)
    noise -= np.float32(127.5)
    image *= 255
    image += (noise * np.float32(rng.uniform(0.0, 0.08)))[..., None]
    photo = np.clip(image, 0.0, 255.0).astype(np.uint8)
    if rng.random() < 0.15:  # saved with heavy compression somewhere on its way
        quality = int(rng.integers(15, 60))
        _, data = cv2.imencode('.jpg', photo, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return photo
