# SPDX-License-Identifier: Apache-2.0
"""People over their image, and the same people seen from the side, the top or the back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.camera import (
    OrthographicCamera,
    PerspectiveCamera,
    overlay_focal_length,
    perspective_from_orthographic,
)
from fastmetro_mm.visualization.render_types import Renderer, RenderMesh

VIEWS = {
    # Rotations of camera axes (x right, y down, z forward) that bring the named side to the front.
    'front': np.eye(3),
    'side': np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),  # from the person's left when facing us
    'back': np.diag([-1.0, 1, -1]),
    'top': np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),  # what is nearer to us lies lower
}


@dataclass
class PlacedPerson:
    """One mesh and the camera that projects it into the image."""

    vertices: np.ndarray  # root frame, metres. (V, 3)
    camera: OrthographicCamera  # projects root-frame points to image pixels
    # RGB in 0..1, one or one per vertex. (3,) or (V, 3)
    color: np.ndarray | tuple[float, float, float]
    # faces of this mesh, where they are not those of the others. (F, 3)
    faces: np.ndarray | None = None


def scene_of(
    people: Sequence[PlacedPerson], faces: np.ndarray, focal_length: float | None = None
) -> tuple[list[RenderMesh], PerspectiveCamera | None]:
    """Put people before one perspective camera.

    Roll and mirror of a person's own crop are applied to the mesh, so that everybody shares the
    image's plain camera.

    Args:
        people: People of one image, possibly none.
        faces: Faces of the meshes of those who bring none. (F, 3)
        focal_length: Focal length, pixels; the image's diagonal if not given.

    Returns:
        Meshes in the camera frame, and the camera (None without people).

    Raises:
        ValueError: If a mesh is not finite or does not fit the faces.
    """
    meshes, shared = [], None
    for person in people:
        own, translation = perspective_from_orthographic(person.camera, focal_length)
        focal = np.sqrt(abs(np.linalg.det(own.intrinsics[:2, :2])))
        vertices = np.asarray(person.vertices, dtype=np.float64) + translation
        vertices[:, :2] = vertices[:, :2] @ (own.intrinsics[:2, :2] / focal).T
        own_faces = faces if person.faces is None else person.faces
        meshes.append(RenderMesh(vertices, own_faces, person.color))
        shared = focal, (own.width, own.height)
    return meshes, shared and PerspectiveCamera.from_focal_length(*shared)


def draw_overlay(
    image: np.ndarray,
    people: Sequence[PlacedPerson],
    faces: np.ndarray,
    renderer: Renderer,
    opacity: float = 1.0,
) -> np.ndarray:
    """Draw people over their image, nearer ones before farther ones.

    Args:
        image: RGB. (H, W, 3) uint8
        people: People whose cameras are those of this image.
        faces: Faces of their meshes. (F, 3)
        renderer: What draws.
        opacity: 1 hides the image behind the meshes.

    Returns:
        RGB, same size. (H, W, 3) uint8
    """
    height, width = image.shape[:2]
    meshes, camera = scene_of(people, faces, overlay_focal_length((width, height)))
    if camera is None:
        return image.copy()
    drawn = renderer.render(meshes, camera, image).image
    if opacity >= 1:
        return drawn
    mixed = image * (1 - opacity) + drawn * opacity
    return np.round(mixed).astype(np.uint8)


def draw_view(
    people: Sequence[PlacedPerson],
    faces: np.ndarray,
    renderer: Renderer,
    view: str,
    size: int,
    extent: float | None = None,
) -> np.ndarray:
    """Draw people without the image, from another side.

    Args:
        people: People of one image.
        faces: Faces of their meshes. (F, 3)
        renderer: What draws.
        view: One of :data:`VIEWS`.
        size: Side of the square image, pixels.
        extent: Metres that fit into the image; all people if not given.

    Returns:
        RGB on white. (size, size, 3) uint8

    Raises:
        ValueError: If the view is unknown.
    """
    if view not in VIEWS:
        raise ConfigError(f'view must be one of {", ".join(VIEWS)}, got {view!r}')
    meshes, _ = scene_of(people, faces)
    if not meshes:
        return np.full((size, size, 3), 255, dtype=np.uint8)
    middle = _middle(meshes)
    turned = [
        RenderMesh((mesh.vertices - middle) @ VIEWS[view].T, mesh.faces, mesh.color)
        for mesh in meshes
    ]
    pixels_per_metre = size / (extent or scene_extent(people, faces))
    center = size / 2
    matrix = np.array([[pixels_per_metre, 0, center], [0, pixels_per_metre, center]])
    return renderer.render(turned, OrthographicCamera(matrix, size, size)).image


def scene_extent(people: Sequence[PlacedPerson], faces: np.ndarray) -> float:
    """Metres a square image must span to show people from every side, with a margin.

    Args:
        people: People of one image, at least one.
        faces: Faces of their meshes. (F, 3)

    Returns:
        Side of the square, metres.
    """
    meshes, _ = scene_of(people, faces)
    middle = _middle(meshes)
    reach = max(np.abs(mesh.vertices - middle).max() for mesh in meshes)
    return 2.1 * max(float(reach), 1e-3)


def _middle(meshes: Sequence[RenderMesh]) -> np.ndarray:
    """Middle of the box around all meshes (3,)."""
    points = np.concatenate([mesh.vertices for mesh in meshes])
    return (points.min(0) + points.max(0)) / 2
