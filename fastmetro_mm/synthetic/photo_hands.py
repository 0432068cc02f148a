# SPDX-License-Identifier: Apache-2.0
"""Hands as photographs show them: real places and light, sleeves, gloves, nails, things held."""

import os
from collections.abc import Sequence

import numpy as np

from fastmetro_mm.synthetic.backgrounds import random_color
from fastmetro_mm.synthetic.body_sampling import Plan
from fastmetro_mm.synthetic.camera_placement import PlacedCamera, bounding_box, place_camera
from fastmetro_mm.synthetic.environment_light import EnvironmentLight, sample_environment
from fastmetro_mm.synthetic.figures import Figure, PosedFigure
from fastmetro_mm.synthetic.gear import Shape, box, ellipsoid, rod
from fastmetro_mm.synthetic.hand_appearance import HandPainter, add_forearm
from fastmetro_mm.synthetic.occluders import draw_occluders
from fastmetro_mm.synthetic.photo_backgrounds import PhotoBackgrounds
from fastmetro_mm.synthetic.photo_canvas import Canvas, Person, Photo, inside_image
from fastmetro_mm.synthetic.photo_effects import finish_image

OCCLUDED, TRUNCATED, HOLDING, GLOVED = 0.15, 0.12, 0.3, 0.06
"""Shares of images: things in front, cut off, something held, a glove."""
_MOST_HIDDEN = 0.35
_GRIPS = ('fist', 'pinch', 'grasp', 'relaxed')


class PhotoHandScene:
    """Draws images of hands.

    Args:
        figure: The right hand.
        size: Width and height, pixels.
        backgrounds: Folder of photos, see
            :func:`~fastmetro_mm.synthetic.photo_backgrounds.find_backgrounds`.
    """

    def __init__(
        self, figure: Figure, size: tuple[int, int], backgrounds: str | os.PathLike | None = None
    ) -> None:
        self.figure = figure
        self.size = size
        self.backgrounds = PhotoBackgrounds(backgrounds)
        self.painter = HandPainter(figure.rest, figure.faces, figure.rest_keypoints)
        tips = figure.rest_keypoints[[4, 8, 12, 16, 20]]
        normals = figure.normals(figure.rest)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        wrist, index, pinky = figure.rest_keypoints[[0, 5, 17]]
        back = np.cross(pinky - wrist, index - wrist)
        near = np.linalg.norm(figure.rest[:, None] - tips, axis=2).min(axis=1) < 0.011
        self._nails = near & (normals @ (back / np.linalg.norm(back)) > 0.6)

    def draw(self, rng: np.random.Generator, plan: Plan, posed: Sequence[PosedFigure]) -> Photo:
        """Draws one image.

        Args:
            rng: Source of randomness.
            plan: Plan of the labelled hand, perhaps with another hand as companion.
            posed: The labelled hand, then the companion, who becomes a left hand.
        """
        main = posed[0]
        camera = place_camera(rng, main.vertices, self.size, bool(rng.random() < TRUNCATED))
        image = self.backgrounds.draw(rng, self.size)
        light = sample_environment(rng)
        canvas = Canvas(image)
        skin = self._skin(rng)
        total = self._draw_hand(rng, canvas, 0, main.vertices, camera, skin, light, np.inf)
        if rng.random() < (2 * HOLDING if plan.family in _GRIPS else HOLDING / 2):
            self._draw_held(rng, canvas, main, camera, light)
        box_ = bounding_box(camera.project(main.vertices))
        people = [(camera, main, box_, total)]
        for other in posed[1:]:
            vertices, placed = _other_hand(rng, other.vertices, main.vertices, camera)
            if rng.random() < 0.3:
                skin = self._skin(rng)
            if vertices[:, 2].min() + placed.translation[2] > 0.08:
                self._draw_hand(rng, canvas, 1, vertices, placed, skin, light, _MOST_HIDDEN * total)
        hidden = 0.0
        if rng.random() < OCCLUDED:
            mask = (canvas.owner == 0).reshape(image.shape[:2])
            hidden = draw_occluders(
                rng, image, inside_image(box_, self.size), mask, 0.35,
                lambda source: self.backgrounds.surface(source, self.size),
            )  # fmt: skip
        seen = float((canvas.owner == 0).sum() / max(total, 1))
        return Photo(finish_image(rng, image), [Person(*people[0][:3], seen=seen)], hidden, 'hand')

    def _skin(self, rng: np.random.Generator) -> np.ndarray:
        """(V, 3) colours: skin with nails, or a glove."""
        paint = self.painter.paint(rng)
        colors = paint.colors.copy()
        nail = random_color(rng, 1.0) if rng.random() < 0.15 else colors[self._nails] * 1.12 + 0.04
        colors[self._nails] = nail
        grain = rng.standard_normal(len(colors)).astype(np.float32)
        if rng.random() < GLOVED:
            colors[:] = random_color(rng, 0.8)
        colors *= 1.0 + rng.uniform(0.01, 0.06) * grain[:, None]
        return np.clip(colors, 0, 1)

    def _draw_hand(
        self,
        rng: np.random.Generator,
        canvas: Canvas,
        number: int,
        vertices: np.ndarray,
        camera: PlacedCamera,
        colors: np.ndarray,
        light: EnvironmentLight,
        may_hide: float,
    ) -> int:
        """Draws a hand with its forearm; returns the covered pixels, 0 where it is left out."""
        left = number > 0
        normals = self.figure.normals(vertices) * (-1.0 if left else 1.0)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        values = np.concatenate([normals, colors], axis=1).astype(np.float32)
        points, values, faces = add_forearm(
            rng, self.painter, vertices.astype(np.float32), values, colors
        )
        arm = slice(len(vertices), None)
        # Cloth is never of one brightness.
        values[arm, 3:6] *= rng.uniform(0.8, 1.2, (len(points) - len(vertices), 1))
        return canvas.draw(
            number, points, values, faces[:, ::-1] if left else faces, camera, light, self.size,
            may_hide,
        )  # fmt: skip

    def _draw_held(
        self,
        rng: np.random.Generator,
        canvas: Canvas,
        posed: PosedFigure,
        camera: PlacedCamera,
        light: EnvironmentLight,
    ) -> None:
        """A pen, a stick, a ball, a cup, a phone or a card at the palm."""
        wrist, index, middle, pinky = posed.keypoints[[0, 5, 9, 17]]
        along = (middle - wrist) / np.linalg.norm(middle - wrist)
        palm = np.cross(index - wrist, pinky - wrist)
        palm /= np.linalg.norm(palm)
        across = np.cross(palm, along)
        frame = np.stack([across, along, palm], axis=1)
        kind = rng.choice(4, p=[0.35, 0.25, 0.2, 0.2])
        way = np.array([1.0, rng.normal(0, 0.4), rng.normal(0, 0.2)])
        way /= np.linalg.norm(way)
        lift = np.array([0.0, 0.0, 0.022])
        shape: Shape
        if kind == 0:
            reach = rng.uniform(0.05, 0.4, 2)
            shape = rod(lift - reach[0] * way, lift + reach[1] * way, rng.uniform(0.004, 0.016))
        elif kind == 1:
            radius = rng.uniform(0.018, 0.05)
            shape = ellipsoid(lift + radius * np.eye(3)[2], np.full(3, radius))
        elif kind == 2:
            shape = rod(lift - 0.06 * way, lift + 0.06 * way, rng.uniform(0.025, 0.04))
        else:
            half = np.array([0.035, 0.07, 0.004]) * rng.uniform(0.7, 1.3, 3)
            shape = box(lift + 0.03 * np.eye(3)[1], half)
        place = posed.keypoints[[0, 9]].mean(axis=0) + 0.3 * (middle - wrist)
        shape = shape.moved(frame, place)
        plain = np.broadcast_to(random_color(rng, 0.9), shape.vertices.shape)
        values = np.concatenate([shape.normals, plain], axis=1).astype(np.float32)
        canvas.draw(
            2, shape.vertices.astype(np.float32), values, shape.faces, camera, light, self.size,
            np.inf,
        )  # fmt: skip


def _other_hand(
    rng: np.random.Generator, vertices: np.ndarray, main: np.ndarray, camera: PlacedCamera
) -> tuple[np.ndarray, PlacedCamera]:
    """A left hand (the mirror image) beside the main one, and its camera."""
    mirrored = vertices * np.array([-1.0, 1.0, 1.0], dtype=np.float32)
    reach = float(np.ptp(main[:, :2], axis=0).max())
    angle = rng.uniform(0, 2 * np.pi)
    shift = rng.uniform(0.5, 1.3) * reach * np.array([np.cos(angle), 0.6 * np.sin(angle), 0.0])
    shift[2] = rng.normal(0.0, 0.4) * reach
    translation = camera.translation + main.mean(axis=0) - mirrored.mean(axis=0) + shift
    return mirrored, PlacedCamera(camera.focal, camera.principal, translation)
