# SPDX-License-Identifier: Apache-2.0
"""Reading HDR panoramas: their light as spherical harmonics, and views cut out of them."""

import base64
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.synthetic.environment_light import sh_basis


def read_panorama(path: Path) -> np.ndarray:
    """An equirectangular panorama (H, W, 3) float32, linear RGB, from .exr or .exr.js (base64).

    Raises:
        ValueError: The file holds no image.
    """
    import OpenEXR

    if path.suffix == '.js':
        text = path.read_text()
        data = base64.b64decode(text[text.index('base64,') + 7 : text.rindex("'")])
        decoded = path.with_suffix('')  # next to it, since the reader wants a file
        decoded.write_bytes(data)
        path = decoded
    with OpenEXR.File(str(path)) as file:
        channels = file.channels()
        name = next((key for key in ('RGB', 'RGBA') if key in channels), None)
        if name is None:
            raise ValueError(f'{path}: channels {sorted(channels)}, expected RGB')
        image = channels[name].pixels[..., :3]
    return np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=6e4)


def _directions(height: int, width: int) -> np.ndarray:
    """Unit vectors (H, W, 3), y up, of the pixels of a panorama."""
    polar = (np.arange(height) + 0.5) / height * np.pi
    around = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi
    sine = np.sin(polar)[:, None]
    return np.stack(
        [sine * np.sin(around), np.broadcast_to(np.cos(polar)[:, None], (height, width)),
         sine * np.cos(around)], axis=2,
    )  # fmt: skip


def irradiance(panorama: np.ndarray) -> np.ndarray:
    """(9, 3) irradiance numbers; mean 1 over directions and colours."""
    small = cv2.resize(panorama, (128, 64), interpolation=cv2.INTER_AREA)
    directions = _directions(64, 128)
    # The sun is up to a thousand times brighter than the sky; nine numbers ring around it.
    small = np.minimum(small, 20 * np.median(small))
    area = np.sin((np.arange(64) + 0.5) / 64 * np.pi)[:, None] * (np.pi / 64) ** 2
    basis = sh_basis(directions.reshape(-1, 3))
    radiance = basis.T @ (small * area[..., None]).reshape(-1, 3)
    spread = np.repeat([np.pi, 2 * np.pi / 3, np.pi / 4], [1, 3, 5])[:, None]
    numbers = radiance * spread
    return (numbers / (0.282095 * numbers[0].mean())).astype(np.float32)


def cut_view(panorama: np.ndarray, size: int, yaw: float, pitch: float, angle: float) -> np.ndarray:
    """A square view (size, size, 3) uint8 RGB, ``angle`` radians wide, exposed for its middle."""
    height, width = panorama.shape[:2]
    reach = np.tan(angle / 2) * (np.arange(size) + 0.5 - size / 2) / (size / 2)
    x, y = np.meshgrid(reach, -reach)
    ray = np.stack([x, y, np.ones_like(x)], axis=2)
    ray /= np.linalg.norm(ray, axis=2, keepdims=True)
    up = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    ray = ray @ up.T
    around = np.arctan2(ray[..., 0], ray[..., 2]) + yaw
    column = (around / (2 * np.pi) + 0.5) % 1.0 * width - 0.5
    row = np.arccos(np.clip(ray[..., 1], -1, 1)) / np.pi * height - 0.5
    view = cv2.remap(
        panorama, column.astype(np.float32), row.astype(np.float32),
        cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP,
    )  # fmt: skip
    view = np.maximum(view, 0) / max(float(np.percentile(view, 85)), 1e-6) * 0.7
    return np.clip(255 * np.minimum(view, 1.0) ** (1 / 2.2), 0, 255).astype(np.uint8)
