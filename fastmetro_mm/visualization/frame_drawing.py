# SPDX-License-Identifier: Apache-2.0
"""Images of a result: people over the full image, and the same people from other sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from fastmetro_mm.earlier_names import accept_old_keywords
from fastmetro_mm.errors import InputError
from fastmetro_mm.geometry.camera import PerspectiveCamera, overlay_focal_length
from fastmetro_mm.structures.results import FrameResult, PersonMesh
from fastmetro_mm.visualization.contact_sheet import label_image
from fastmetro_mm.visualization.mesh_views import PlacedPerson, draw_view, scene_of
from fastmetro_mm.visualization.render_types import Renderer, RenderMesh, RenderResult
from fastmetro_mm.visualization.sample_people import person_color

LARGEST_DRAWN = 25_000_000
"""Overlays of images with more pixels are drawn at half their size, or a quarter..."""

LARGEST_VIEW = 1600
"""Views of higher images are drawn at this height and enlarged, pixels."""


def has_smpl_mesh(person: PersonMesh) -> bool:
    """Whether the SMPL head gave this person a finite mesh."""
    return person.smpl_vertices is not None and bool(np.isfinite(person.smpl_vertices).all())


@accept_old_keywords(camera='projection')
def render_frame(
    frame: FrameResult,
    renderer: Renderer,
    image: np.ndarray | None = None,
    projection: str = 'network',
    mesh: str = 'network',
) -> RenderResult:
    """Draw people over their image, nearer ones before farther ones.

    Args:
        frame: The result. People without a place in the scene are left out.
        renderer: What draws.
        image: RGB image; that of the frame, or white, if not given. (H, W, 3) uint8
        projection: ``'network'`` draws everybody where the network's own (weak-perspective) camera
            sees them, which fits the image best; ``'scene'`` uses the frame's intrinsics and
            translations, which is right when the camera is known.
        mesh: ``'network'``, or ``'smpl'``: that of the SMPL head, of those who have one.

    Returns:
        The image, and which person each pixel shows (``index``: place in ``frame.people``, -1
        for none).

    Raises:
        InputError: If the projection's or the mesh's name is unknown.
    """
    if mesh not in ('network', 'smpl'):
        raise InputError(f"mesh must be 'network' or 'smpl', got {mesh!r}")
    if projection not in ('network', 'scene'):
        raise InputError(f"projection must be 'network' or 'scene', got {projection!r}")
    frame = frame.at_image_scale()
    placed = [
        number
        for number, person in enumerate(frame.people)
        if person.is_placed and (mesh == 'network' or has_smpl_mesh(person))
    ]
    view = frame.camera
    if projection == 'network':
        view = PerspectiveCamera.from_focal_length(
            overlay_focal_length(frame.image_size), frame.image_size
        )
    meshes = []
    for number in placed:
        person = frame.people[number]
        color, faces = person_color(number, person.track_id), frame.faces_of(person)
        vertices = person.vertices
        if mesh != 'network' and person.smpl_vertices is not None:
            vertices = person.smpl_vertices
        if projection == 'scene':
            meshes.append(RenderMesh(vertices + person.translation, faces, color))
        else:
            found, _ = scene_of(
                [PlacedPerson(vertices, person.image_camera(frame.image_size), color)],
                faces,
                view.intrinsics[0, 0],
            )
            meshes.extend(found)
    result = renderer.render(meshes, view, frame.image if image is None else image)
    if placed != list(range(len(placed))):
        numbers = np.array([*placed, -1])  # index -1, the background, reads the last entry
        result.index = numbers[result.index]
    return result


@accept_old_keywords(camera='projection')
def draw_frame(
    frame: FrameResult,
    renderer: Renderer,
    image: np.ndarray | None = None,
    views: Sequence[str] = (),
    projection: str = 'network',
    opacity: float = 0.9,
    draw_boxes: bool = False,
    smpl_panel: bool | None = None,
) -> np.ndarray:
    """Overlay on the full image; beside it that of the SMPL head and views from other sides.

    Args:
        frame: The result.
        renderer: What draws.
        image: RGB image; that of the frame if not given. (H, W, 3) uint8
        views: Any of ``front side back top``, each a square as high as the image.
        projection: See :func:`render_frame`.
        opacity: 1 hides the image behind the meshes.
        draw_boxes: Whether to draw boxes and track numbers.
        smpl_panel: Whether a second overlay shows the meshes of the SMPL head; if anybody has one
            if not given. Frames of one video need the same answer to be of the same size.

    Returns:
        RGB; panels have a line of text above if there are several. (H', W', 3) uint8
    """
    panels = draw_panels(frame, renderer, image, projection, opacity, draw_boxes, smpl_panel)
    return join_panels(panels, draw_views(frame, renderer, views) if views else None)


def draw_panels(
    frame: FrameResult,
    renderer: Renderer,
    image: np.ndarray | None = None,
    projection: str = 'network',
    opacity: float = 0.9,
    draw_boxes: bool = False,
    smpl_panel: bool | None = None,
) -> list[tuple[str, np.ndarray]]:
    """The overlays of :func:`draw_frame`, one by one.

    Args:
        frame: See :func:`draw_frame`, also for the others.
        renderer: What draws.
        image: RGB image; that of the frame if not given. (H, W, 3) uint8
        projection: See :func:`render_frame`.
        opacity: 1 hides the image behind the meshes.
        draw_boxes: Whether to draw boxes and track numbers.
        smpl_panel: Whether a second overlay shows the meshes of the SMPL head.

    Returns:
        Label and RGB (H', W', 3) uint8 of each.
    """
    frame = _of_bearable_size(frame) if image is None else frame.at_image_scale()
    image = frame.image if image is None else image
    if smpl_panel is None:
        smpl_panel = any(person.is_placed and has_smpl_mesh(person) for person in frame.people)
    panels = []
    for label, mesh in (('overlay', 'network'), ('SMPL head', 'smpl'))[: 2 if smpl_panel else 1]:
        overlay = render_frame(frame, renderer, image, projection, mesh).image
        if opacity < 1 and image is not None:
            overlay = cv2.addWeighted(image, 1 - opacity, overlay, opacity, 0)
        elif draw_boxes:
            overlay = overlay.copy()
        if draw_boxes:
            for number, person in enumerate(frame.people):
                _draw_box(overlay, person, person_color(number, person.track_id))
        panels.append((label, overlay))
    return panels


def join_panels(
    panels: Sequence[tuple[str, np.ndarray]], views: np.ndarray | None = None
) -> np.ndarray:
    """Panels side by side, and views beside them.

    Args:
        panels: Label and RGB of each, see :func:`draw_panels`.
        views: What :func:`draw_views` gave. RGB

    Returns:
        RGB; labelled unless there is one panel alone. (H', W', 3) uint8
    """
    if len(panels) == 1 and views is None:
        return panels[0][1]
    sheet = [label_image(panel, label) for label, panel in panels]
    return np.concatenate(sheet if views is None else [*sheet, views], axis=1)


def draw_views(frame: FrameResult, renderer: Renderer, views: Sequence[str]) -> np.ndarray:
    """The people of a frame from other sides, side by side on white.

    Args:
        frame: The result.
        renderer: What draws.
        views: Any of ``front side back top``, at least one; each a square as high as the image
            with a line of text above.

    Returns:
        RGB. (H', W', 3) uint8
    """
    frame = _of_bearable_size(frame)
    people = [
        PlacedPerson(
            person.vertices,
            person.image_camera(frame.image_size),
            person_color(number, person.track_id),
            frame.faces_of(person),
        )
        for number, person in enumerate(frame.people)
        if person.is_placed
    ]
    height = frame.image_size[1]
    size = min(height, LARGEST_VIEW)
    drawn = [draw_view(people, frame.faces, renderer, view, size) for view in views]
    if size < height:  # as high as the panels beside them
        drawn = [cv2.resize(view, (height, height)) for view in drawn]
    return np.concatenate(
        [label_image(image, view) for image, view in zip(drawn, views, strict=True)], axis=1
    )


def _of_bearable_size(frame: FrameResult) -> FrameResult:
    """The frame in the pixels it is drawn at: a renderer needs 60 bytes and more for each."""
    image = frame.image
    if image is not None and image.shape[0] * image.shape[1] > LARGEST_DRAWN:
        size = image.shape[1] // 2, image.shape[0] // 2
        return _of_bearable_size(
            replace(frame, image=cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        )
    return frame.at_image_scale()


def _draw_box(image: np.ndarray, person: PersonMesh, color: tuple[float, float, float]) -> None:
    line = max(1, round(max(image.shape[:2]) / 500))
    ink = tuple(round(255 * part) for part in color)
    x1, y1, x2, y2 = (round(float(value)) for value in person.bbox)
    cv2.rectangle(image, (x1, y1), (x2, y2), ink, line)
    if person.track_id is not None:
        cv2.putText(
            image,
            str(person.track_id),
            (x1 + 2 * line, y1 + 14 * line),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.5 * line,
            ink,
            line,
            cv2.LINE_AA,
        )
