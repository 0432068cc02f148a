# SPDX-License-Identifier: Apache-2.0
"""An image while it is drawn (colours, depth and owner of every pixel), and when finished."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from fastmetro_mm.synthetic.camera_placement import PlacedCamera
from fastmetro_mm.synthetic.environment_light import EnvironmentLight
from fastmetro_mm.synthetic.figures import PosedFigure
from fastmetro_mm.synthetic.lighting import Light
from fastmetro_mm.synthetic.rasterizer import Visible, rasterize


@dataclass(frozen=True)
class Person:
    """One person (or hand) in an image."""

    camera: PlacedCamera  # the image's camera with the person's translation
    posed: PosedFigure  # body without clothes, which is what labels describe
    box: np.ndarray  # (4,) left, top, right, bottom of the body, pixels, perhaps outside the image
    seen: float  # share of the person's drawn pixels that nobody else hides


@dataclass(frozen=True)
class Photo:
    """A finished image."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    people: list[Person]  # the labelled person, then the others
    hidden: float  # share of the labelled person's visible pixels behind occluders
    framing: str  # what the image shows of the labelled person


class Canvas:
    """Colours, depth and owner of every pixel, flat.

    Args:
        image: (H, W, 3) float32 RGB, 0..1, the background; drawn on in place.
    """

    def __init__(self, image: np.ndarray) -> None:
        self.pixels = image.reshape(-1, 3)
        self.depth = np.full(len(self.pixels), np.inf, dtype=np.float32)
        self.owner = np.full(len(self.pixels), -1, dtype=np.int64)

    def draw(
        self,
        number: int,
        vertices: np.ndarray,
        values: np.ndarray,
        faces: np.ndarray,
        camera: PlacedCamera,
        light: EnvironmentLight | Light,
        size: tuple[int, int],
        may_hide: float,
        colorize: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> int:
        """Draws a lit mesh where nothing nearer is.

        Args:
            number: Owner of the pixels; 0 is the labelled one.
            vertices: (V, 3) float32, metres, camera axes.
            values: (V, C) float32: unit normal, colour, and whatever ``colorize`` needs.
            faces: (F, 3) faces.
            camera: The camera.
            light: The light.
            size: Width and height, pixels.
            may_hide: Somebody who would hide more of the labelled one's pixels is left out.
            colorize: Makes colours (P, 3) from interpolated values (P, C).

        Returns:
            How many pixels the mesh covers by itself; 0 where it is left out.
        """
        moved = vertices + camera.translation.astype(np.float32)
        points = moved[:, :2] * (np.float32(camera.focal) / moved[:, 2:])
        points += camera.principal.astype(np.float32)
        seen = rasterize(points, moved[:, 2], faces, size)
        shown = seen.depth < self.depth[seen.pixels]
        if number and (self.owner[seen.pixels[shown]] == 0).sum() > may_hide:
            return 0
        part = Visible(
            seen.pixels[shown], seen.faces[shown], seen.weights[shown], seen.depth[shown]
        )
        at_pixels = part.interpolate(values, faces)
        colors = at_pixels[:, 3:6] if colorize is None else colorize(at_pixels)
        normals = at_pixels[:, :3]
        normals /= np.maximum(np.sqrt((normals * normals).sum(axis=1, keepdims=True)), 1e-6)
        self.pixels[part.pixels] = np.clip(light.shade(colors, normals), 0, 1)
        self.depth[part.pixels] = part.depth
        self.owner[part.pixels] = number
        return len(seen.pixels)


def inside_image(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The part of a box (4,) inside an image."""
    return np.clip(box, 0.0, np.array([*size, *size], dtype=np.float64))


def visible_box(rng: np.random.Generator, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The box that a detector would give: mostly of what the image shows of a person."""
    inside = inside_image(box, size)
    if rng.random() < 0.03 or (inside[2:] - inside[:2]).min() < 8:
        return box
    return inside


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """(H, W, 3) uint8 RGB to JPEG bytes."""
    _, data = cv2.imencode(
        '.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return data.tobytes()
