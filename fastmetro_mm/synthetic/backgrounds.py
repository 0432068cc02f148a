# SPDX-License-Identifier: Apache-2.0
"""Procedural backgrounds: gradients, textured noise, rooms and open ground, with clutter on top."""

import cv2
import numpy as np


def random_color(rng: np.random.Generator, saturation: float = 0.6) -> np.ndarray:
    """An RGB colour (3,), 0..1, from nearly grey to as vivid as ``saturation``."""
    hue, vivid, value = rng.uniform(0, 6), saturation * rng.random() ** 1.5, rng.uniform(0.12, 0.95)
    wheel = np.clip(np.abs((hue + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    return (value * (1 - vivid * (1 - wheel))).astype(np.float32)


def smooth_noise(
    rng: np.random.Generator, size: tuple[int, int], octaves: tuple[int, ...]
) -> np.ndarray:
    """Noise of several grain sizes.

    Args:
        rng: Source of randomness.
        size: Width and height, pixels.
        octaves: Grid cells along the longer side, coarse to fine; each octave is half as strong.

    Returns:
        (H, W) float32, roughly within -1..1.
    """
    width, height = size
    total = np.zeros((height, width), dtype=np.float32)
    strength, whole = 1.0, 0.0
    for cells in octaves:
        step = max(width, height) / cells
        grid = rng.random((max(2, round(height / step)), max(2, round(width / step)))) * 2 - 1
        total += strength * cv2.resize(
            grid.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
        )
        whole += strength
        strength *= 0.5
    return total / whole


def _gradient(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    corners = np.stack([random_color(rng) for _ in range(4)]).reshape(2, 2, 3)
    return cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)


def _cloth(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Two colours mixed by noise: foliage, plaster, rock or cloth, as the grain falls."""
    start = int(rng.choice([3, 6, 12, 24]))
    grain = smooth_noise(rng, size, (start, 2 * start, 4 * start, 8 * start))
    mix = np.clip(0.5 + rng.uniform(0.5, 1.6) * grain, 0, 1)[..., None]
    return random_color(rng) * mix + random_color(rng) * (1 - mix)


def _polygon(image: np.ndarray, points: np.ndarray, color: np.ndarray) -> None:
    cv2.fillPoly(image, [np.round(points).astype(np.int32)], color.tolist(), lineType=cv2.LINE_AA)


def _room(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A back wall, a side wall, a floor with boards or tiles, windows and images."""
    width, height = size
    image = np.empty((height, width, 3), dtype=np.float32)
    wall = random_color(rng, 0.4)
    image[:] = wall
    corner = rng.uniform(-0.2, 1.2) * width
    horizon = rng.uniform(0.45, 0.85) * height
    slope = rng.uniform(0.0, 0.35) * height
    side = -1 if rng.random() < 0.5 else 1
    edge = corner + side * 2.0 * width
    _polygon(
        image,
        np.array([[corner, 0], [edge, 0], [edge, height], [corner, height]]),
        wall * rng.uniform(0.6, 0.95),
    )
    floor = random_color(rng, 0.5)
    far = np.array([corner + 2 * side * width, horizon + 4 * slope])
    near = np.array([corner - 2 * side * width, horizon + 0.3 * slope])
    _polygon(
        image,
        np.array([[corner, horizon], far, [far[0], 9 * height], [near[0], 9 * height], near]),
        floor,
    )
    if rng.random() < 0.6:  # boards converging towards a vanishing point behind the wall
        vanishing = np.array([rng.uniform(0, width), horizon - rng.uniform(0.1, 0.5) * height])
        dark = floor * rng.uniform(0.6, 0.9)
        for x in np.arange(-2.0, 3.0, rng.uniform(0.12, 0.4)) * width:
            foot = np.array([x, height])
            start = vanishing + (foot - vanishing) * (
                (horizon + slope * 0.5 - vanishing[1]) / (height - vanishing[1])
            )
            ends = np.round(np.stack([start, foot])).astype(int).tolist()
            cv2.line(image, ends[0], ends[1], dark.tolist(), 1, cv2.LINE_AA)
    for _ in range(rng.integers(0, 4)):  # windows, prints, doors
        w, h = rng.uniform(0.08, 0.35, 2) * size
        x, y = rng.uniform(0, width), rng.uniform(0, max(1.0, horizon - h))
        box = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
        _polygon(image, box, random_color(rng))
        inner = box.mean(axis=0) + (box - box.mean(axis=0)) * rng.uniform(0.7, 0.92)
        _polygon(image, inner, random_color(rng))
    return image


def _outdoors(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Sky, a skyline of houses or trees, and ground."""
    width, height = size
    horizon = int(rng.uniform(0.25, 0.75) * height)
    image = np.empty((height, width, 3), dtype=np.float32)
    high = np.array([0.35, 0.55, 0.85], dtype=np.float32) * rng.uniform(0.6, 1.1)
    low = np.float32(rng.uniform(0.6, 0.95))
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    image[:] = high * (1 - ramp) + low * ramp
    houses = rng.random() < 0.5
    for _ in range(rng.integers(4, 14)):
        x, w = rng.uniform(-0.1, 1.1) * width, rng.uniform(0.05, 0.25) * width
        h = rng.uniform(0.05, 0.5) * height
        if houses:
            box = np.array([[x, horizon], [x, horizon - h], [x + w, horizon - h], [x + w, horizon]])
            color = random_color(rng, 0.35)
            _polygon(image, box, color)
            pane = color * rng.uniform(0.4, 1.3)
            for wx in np.linspace(x + 0.15 * w, x + 0.7 * w, 3):
                for wy in np.arange(horizon - 0.9 * h, horizon - 8, max(8.0, 0.25 * h)):
                    cv2.rectangle(
                        image, (int(wx), int(wy)), (int(wx + 0.15 * w), int(wy + 4)),
                        pane.tolist(), -1,
                    )  # fmt: skip
        else:
            green = np.array([0.2, 0.4, 0.15], dtype=np.float32) * rng.uniform(0.4, 1.5)
            for _ in range(5):
                spot = (int(x + rng.normal(0, 0.4) * w), int(horizon - rng.uniform(0, 1) * h))
                shade = (green * rng.uniform(0.7, 1.2)).tolist()
                cv2.circle(image, spot, int(0.15 * w + 0.2 * h) + 1, shade, -1, cv2.LINE_AA)
    image[horizon:] = random_color(rng, 0.5)
    return image


def _clutter(rng: np.random.Generator, image: np.ndarray) -> None:
    """Random shapes, some large and plain, many small."""
    height, width = image.shape[:2]
    for _ in range(int(rng.exponential(9.0))):
        center = rng.uniform(-0.05, 1.05, 2) * (width, height)
        reach = rng.gamma(1.6, 0.07, 2) * max(width, height) + 2
        color = random_color(rng, 0.8)
        angle = rng.uniform(0, 180)
        kind = rng.integers(4)
        if kind == 0:
            box = cv2.boxPoints((center.tolist(), (2 * reach).tolist(), float(angle)))
            _polygon(image, box, color)
        elif kind == 1:
            axes = np.round(reach).astype(int).tolist()
            spot = np.round(center).astype(int).tolist()
            cv2.ellipse(image, spot, axes, angle, 0, 360, color.tolist(), -1, cv2.LINE_AA)
        elif kind == 2:
            turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
            _polygon(
                image, center + reach * np.stack([np.cos(turns), np.sin(turns)], axis=1), color
            )
        else:
            ends = np.round(center + rng.normal(0, 2, (2, 2)) * reach).astype(int).tolist()
            thick = int(rng.integers(1, 7))
            cv2.line(image, ends[0], ends[1], color.tolist(), thick, cv2.LINE_AA)


_KINDS = (_gradient, _cloth, _room, _outdoors)


def draw_backdrop(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draws the plain backdrop of a studio, lighter or darker towards the floor.

    Args:
        rng: Source of randomness.
        size: Width and height, pixels.

    Returns:
        (H, W, 3) float32 RGB, 0..1.
    """
    color = rng.uniform(0.25, 0.95) + rng.uniform(-0.08, 0.08, 3)
    fall = 1.0 + rng.uniform(-0.25, 0.25) * np.linspace(-0.5, 0.5, size[1])
    image = np.broadcast_to(fall[:, None, None] * color, (size[1], size[0], 3))
    return np.clip(image, 0.0, 1.0).astype(np.float32)


def draw_background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draws one background.

    Args:
        rng: Source of randomness.
        size: Width and height, pixels.

    Returns:
        (H, W, 3) float32 RGB, 0..1.
    """
    kind = _KINDS[rng.choice(4, p=[0.12, 0.23, 0.40, 0.25])]
    image = np.ascontiguousarray(kind(rng, size), dtype=np.float32)
    if rng.random() < 0.85:
        _clutter(rng, image)
    if rng.random() < 0.5:  # out of focus behind the person
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 3.0))
    grain = smooth_noise(rng, size, (4, 16, 64))
    image *= 1.0 + rng.uniform(0.05, 0.35) * grain[..., None]
    return np.clip(image, 0.0, 1.0)
