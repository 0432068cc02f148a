# SPDX-License-Identifier: Apache-2.0
"""Backgrounds and cloth textures out of a folder of photos without people.

Without a folder the drawn backgrounds of :mod:`fastmetro_mm.synthetic.backgrounds` take their
place, so that the scene always works.
"""

import os
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.errors import InputError
from fastmetro_mm.synthetic.backgrounds import draw_background, random_color, smooth_noise

BACKGROUNDS_VARIABLE = 'FASTMETRO_BACKGROUNDS'
"""Environment variable that names the folder where none is given."""

_ENDINGS = ('.jpg', '.jpeg', '.png', '.webp')
_PHOTOS = 0.88  # share of photos among the backgrounds, where there are photos


def find_backgrounds(folder: str | os.PathLike | None) -> list[Path]:
    """Images of a folder, sorted by name.

    Args:
        folder: The folder; None takes the environment variable ``FASTMETRO_BACKGROUNDS``, and
            nothing where that is not set either.

    Returns:
        The files, perhaps none.

    Raises:
        ValueError: The folder does not exist or holds no image.
    """
    folder = folder or os.environ.get(BACKGROUNDS_VARIABLE)
    if not folder:
        return []
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f'{path}: no such folder of backgrounds; give a folder of photos')
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in _ENDINGS)
    if not files:
        raise InputError(
            f'{path}: no images ({", ".join(_ENDINGS)}) there; give a folder of photos'
        )
    return files


class PhotoBackgrounds:
    """Draws backgrounds and textures.

    Args:
        folder: See :func:`find_backgrounds`.
    """

    def __init__(self, folder: str | os.PathLike | None = None) -> None:
        self.files = find_backgrounds(folder)

    def _read(self, rng: np.random.Generator, small: bool = False) -> np.ndarray:
        """One photo (H, W, 3) uint8 RGB, perhaps at half its size."""
        file = self.files[rng.integers(len(self.files))]
        image = cv2.imread(str(file), cv2.IMREAD_REDUCED_COLOR_2 if small else cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(f'{file}: not readable as an image; remove it from the backgrounds')
        return image[..., ::-1]

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        """One background (H, W, 3) float32 RGB, 0..1."""
        if not self.files or rng.random() > _PHOTOS:
            return draw_background(rng, size)
        image = self._view(rng, self._read(rng), size)
        if rng.random() < 0.25:  # a second place behind an edge or through a hole
            _join(rng, image, self._view(rng, self._read(rng), size))
        if rng.random() < 0.45:  # out of focus behind the person
            image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 3.5)))
        image *= (rng.normal(1.0, 0.06, 3) * rng.uniform(0.65, 1.25)).astype(np.float32)
        return np.minimum(image, 1.0, out=image)

    def _view(
        self, rng: np.random.Generator, photo: np.ndarray, size: tuple[int, int]
    ) -> np.ndarray:
        """A random part of a photo in the wanted shape, perhaps mirrored."""
        width, height = size
        share = float(rng.uniform(0.45, 1.0))
        room = np.array(photo.shape[1::-1], dtype=np.float64)
        extent = np.array(size) * (share * (room / size).min())
        left, top = ((room - extent) * rng.random(2)).astype(int)
        right, bottom = int(left + max(extent[0], 2)), int(top + max(extent[1], 2))
        part = cv2.resize(photo[top:bottom, left:right], (width, height))
        if rng.random() < 0.5:
            part = part[:, ::-1]
        return part.astype(np.float32) / np.float32(255.0)

    def surface(self, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        """A blurred part of a photo (H, W, 3) float32, for things in front."""
        if not self.files:
            return draw_background(rng, size)
        return self._view(rng, self._read(rng, small=True), size)

    def texture(self, rng: np.random.Generator) -> np.ndarray:
        """A piece of cloth (64, 64, 3) float32 RGB around 1 in the mean, from a photo or noise."""
        if self.files and rng.random() < 0.7:
            photo = self._read(rng, small=True)
            side = int(rng.integers(12, max(13, min(photo.shape[:2]) // 2)))
            top = int(rng.integers(photo.shape[0] - side))
            left = int(rng.integers(photo.shape[1] - side))
            cloth = cv2.resize(photo[top : top + side, left : left + side], (64, 64)) / 255.0
        else:
            grain = smooth_noise(rng, (64, 64), (3, 8, 24))
            mix = np.clip(0.5 + rng.uniform(0.5, 3.0) * grain, 0, 1)[..., None]
            cloth = random_color(rng, 0.9) * mix + random_color(rng, 0.9) * (1 - mix)
        # Mirrored tiles have no seams.
        cloth = np.concatenate([cloth, cloth[::-1]])
        cloth = np.concatenate([cloth, cloth[:, ::-1]], axis=1)
        return (cloth / max(float(cloth.mean()), 0.05)).astype(np.float32)


def _join(rng: np.random.Generator, image: np.ndarray, other: np.ndarray) -> None:
    """Lays a part of one image over another along straight edges, in place."""
    height, width = image.shape[:2]
    center = rng.uniform(0, 1, 2) * (width, height)
    reach = rng.uniform(0.15, 0.6, 2) * (width, height)
    box = cv2.boxPoints((center.tolist(), (2 * reach).tolist(), float(rng.normal(0, 6))))
    mask = np.zeros((height, width), dtype=np.float32)
    cv2.fillPoly(mask, [np.round(box).astype(np.int32)], 1.0, lineType=cv2.LINE_AA)
    image += mask[..., None] * (other - image)
