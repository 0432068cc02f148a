# SPDX-License-Identifier: Apache-2.0
"""What every renderer takes and returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from fastmetro_mm.errors import InputError
from fastmetro_mm.geometry.camera import OrthographicCamera, PerspectiveCamera

NEAR = 0.05
"""Nearest depth that a perspective camera sees, metres; the part of a mesh before it is cut off."""

Camera = PerspectiveCamera | OrthographicCamera


@dataclass
class RenderMesh:
    """A triangle mesh in the camera frame.

    Args:
        vertices: Metres, camera frame (orthographic cameras: camera axes). (V, 3)
        faces: Vertex numbers, counter-clockwise seen from outside. (F, 3)
        color: RGB in 0..1, one for the mesh or one per vertex. (3,) or (V, 3)

    Raises:
        ValueError: If shapes do not fit, a vertex is not finite or a face names no vertex.
    """

    vertices: np.ndarray
    faces: np.ndarray
    color: np.ndarray

    def __init__(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        color: np.ndarray | tuple[float, float, float] = (0.65, 0.74, 0.86),
    ) -> None:
        self.vertices = np.asarray(vertices, dtype=np.float64)
        self.faces = np.asarray(faces, dtype=np.int64)
        self.color = np.asarray(color, dtype=np.float64)
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3:
            raise ValueError(f'vertices must be (V, 3), got {self.vertices.shape}')
        if self.faces.ndim != 2 or self.faces.shape[1] != 3:
            raise ValueError(f'faces must be (F, 3), got {self.faces.shape}')
        if self.color.shape not in ((3,), self.vertices.shape):
            raise ValueError(
                f'color must be (3,) or one per vertex {self.vertices.shape}, got '
                f'{self.color.shape}'
            )
        if not np.isfinite(self.vertices).all():
            finite = np.asarray(np.isfinite(self.vertices).all(axis=1))
            raise InputError(
                f'{(~finite).sum()} of {len(finite)} vertices are not finite (first: vertex '
                f'{np.argmin(finite)}); the network has probably diverged'
            )
        if self.faces.size and not 0 <= self.faces.min() <= self.faces.max() < len(self.vertices):
            raise ValueError(
                f'faces name vertices {self.faces.min()}..{self.faces.max()}, but the mesh has '
                f'{len(self.vertices)} vertices; faces and vertices are of different meshes'
            )

    @property
    def vertex_colors(self) -> np.ndarray:
        """RGB in 0..1 for every vertex (V, 3)."""
        return np.broadcast_to(self.color, self.vertices.shape)


@dataclass
class RenderResult:
    """What a renderer returns."""

    image: np.ndarray  # RGB. (H, W, 3) uint8
    # depth z of the nearest surface, metres; 0 where there is none. (H, W) float32
    depth: np.ndarray
    index: np.ndarray  # number of the mesh seen, -1 for the background. (H, W) int32


@dataclass(frozen=True)
class Lighting:
    """Lights in camera axes, used alike for all meshes; surfaces are lit from both sides."""

    ambient: float = 0.38  # light that comes from everywhere
    # directional lights: direction towards the light (any length) and strength
    lights: tuple[tuple[tuple[float, float, float], float], ...] = field(
        default=(((-0.5, -0.8, -1.0), 0.52), ((0.9, -0.1, -0.6), 0.16), ((0.0, 0.6, -0.3), 0.08))
    )
    specular: float = 0.12  # strength of the highlight
    shininess: float = 24.0  # sharpness of the highlight


class Renderer(Protocol):
    """What every renderer offers."""

    name: str

    def render(
        self, meshes: Sequence[RenderMesh], camera: Camera, background: np.ndarray | None = None
    ) -> RenderResult:
        """Draw meshes with correct occlusion.

        Args:
            meshes: Meshes to draw, possibly none.
            camera: Camera; its size is the size of the result.
            background: RGB image to draw over, white if not given. (H, W, 3) uint8

        Returns:
            Image, depth and mesh numbers.
        """
        ...


def prepare_background(background: np.ndarray | None, camera: Camera) -> np.ndarray:
    """Background of the camera's size: a copy of the given image, or white.

    Args:
        background: RGB. (H, W, 3) uint8
        camera: Camera that gives the size.

    Returns:
        RGB, safe to write to. (H, W, 3) uint8

    Raises:
        ValueError: If the image's shape or type is not what the camera needs.
    """
    shape = (camera.height, camera.width, 3)
    if background is None:
        return np.full(shape, 255, dtype=np.uint8)
    if background.shape != shape or background.dtype != np.uint8:
        raise ValueError(
            f'background must be uint8 {shape} to fit the camera, got {background.dtype} '
            f'{background.shape}'
        )
    return background.copy()
