# SPDX-License-Identifier: Apache-2.0
"""One image with its label: background, figure, occluders, photo effects, JPEG."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.synthetic.appearance import BodyPainter, Paint, weave
from fastmetro_mm.synthetic.backgrounds import draw_backdrop, draw_background
from fastmetro_mm.synthetic.body_sampling import Plan, plan_body, plan_photo
from fastmetro_mm.synthetic.camera_placement import PlacedCamera, bounding_box, place_camera
from fastmetro_mm.synthetic.figures import Figure, PosedFigure
from fastmetro_mm.synthetic.hand_appearance import HandPainter, add_forearm
from fastmetro_mm.synthetic.hand_poses import plan_hand
from fastmetro_mm.synthetic.lighting import finish_photo, sample_light
from fastmetro_mm.synthetic.occluders import draw_occluders
from fastmetro_mm.synthetic.photo_canvas import Photo, encode_jpeg, visible_box
from fastmetro_mm.synthetic.photo_hands import PhotoHandScene
from fastmetro_mm.synthetic.photo_scene import PhotoScene
from fastmetro_mm.synthetic.rasterizer import rasterize
from fastmetro_mm.synthetic.shadows import contact_shadow

TRUNCATED, OCCLUDED = 0.18, 0.35
"""Shares of images with the box partly outside, and with something in front of the figure."""

SECOND_HAND = 0.2
"""Share of photos of hands with the other hand in them."""


@dataclass(frozen=True)
class DrawnSample:
    """A finished row of the data set."""

    image: bytes  # JPEG bytes
    label: dict  # official label fields, plus ``camera`` and ``pose_family``
    hidden: float  # share of the figure's pixels behind occluders


class Studio:
    """Draws samples of one kind; built once in every process.

    Args:
        kind: ``'body'`` or ``'hand'``.
        size: Width and height of the images, pixels.
        scene: ``'street'``, ``'studio'`` or ``'photo'``, see ``SyntheticSetOptions``.
        backgrounds: Folder of photos without people for ``'photo'``; if None, the environment
            variable ``FASTMETRO_BACKGROUNDS`` names it, or backgrounds are drawn.
    """

    def __init__(
        self,
        kind: str,
        size: tuple[int, int],
        scene: str = 'street',
        backgrounds: str | os.PathLike | None = None,
    ) -> None:
        self.plain = scene == 'studio'
        self.figure = Figure(kind)
        self.photo: PhotoScene | PhotoHandScene | None = None
        if scene == 'photo':
            draws = PhotoScene if kind == 'body' else PhotoHandScene
            self.photo = draws(self.figure, size, backgrounds)
        self.size = size
        figure = self.figure
        self.painter: BodyPainter | HandPainter
        if kind == 'body':
            self.painter = BodyPainter(
                figure.rest, figure.weights, figure.rest_joints, figure.rest_keypoints
            )
        else:
            self.painter = HandPainter(figure.rest, figure.faces, figure.rest_keypoints)

    def plan(self, rng: np.random.Generator) -> Plan:
        """Draws pose, view and shape of one sample."""
        if self.figure.kind == 'body':
            if self.photo is not None:
                return plan_photo(rng, self.figure.rest_joints)
            return plan_body(rng, facing=self.plain)
        plan = plan_hand(rng, self.figure, facing=self.plain)
        if self.photo is not None and rng.random() < SECOND_HAND:
            return replace(plan, companions=(plan_hand(rng, self.figure),))
        return plan

    def pose(self, plans: Sequence[Plan]) -> list[list[PosedFigure]]:
        """Poses everybody of several images at once: the labelled one, then the companions."""
        people = [person for plan in plans for person in (plan, *plan.companions)]
        posed = iter(
            self.figure.pose(
                np.stack([person.pose for person in people]),
                np.stack([person.betas for person in people]),
            )
        )
        return [[next(posed) for _ in range(1 + len(plan.companions))] for plan in plans]

    def draw(
        self, rng: np.random.Generator, plan: Plan, posed: PosedFigure | Sequence[PosedFigure]
    ) -> DrawnSample:
        """Draws an image and makes its label.

        Args:
            rng: Source of randomness.
            plan: What to draw.
            posed: The posed figure; for plans with companions everybody, see :meth:`pose`.
        """
        everybody = [posed] if isinstance(posed, PosedFigure) else list(posed)
        if self.photo is not None:
            photo, label = self.take_photo(rng, plan, everybody)
            return DrawnSample(
                encode_jpeg(photo.image, int(rng.integers(70, 94))), label, photo.hidden
            )
        posed = everybody[0]
        truncated = not self.plain and rng.random() < TRUNCATED
        camera = place_camera(rng, posed.vertices, self.size, truncated)
        image = draw_backdrop(rng, self.size) if self.plain else draw_background(rng, self.size)
        paint = self.painter.paint(rng)
        box = bounding_box(camera.project(posed.vertices))
        if self.figure.kind == 'body' and rng.random() < 0.6:
            contact_shadow(rng, image, box)
        mask = self.draw_figure(rng, image, posed, camera, paint)
        hidden = 0.0
        if not self.plain and rng.random() < OCCLUDED:
            hidden = draw_occluders(rng, image, box, mask)
        photo = finish_photo(rng, image)
        encoded = encode_jpeg(photo, int(rng.integers(70, 94)))
        label = _label(rng, self.figure, plan, posed, camera, box, self.size)
        label['hidden'] = round(hidden, 3)
        return DrawnSample(encoded, label, hidden)

    def take_photo(
        self, rng: np.random.Generator, plan: Plan, posed: Sequence[PosedFigure]
    ) -> tuple[Photo, dict]:
        """Draws an image of scene ``'photo'`` without encoding it.

        Returns:
            The image and the label of the main person, whose field ``people`` holds boxes and
            joints of everybody.

        Raises:
            ValueError: The studio draws another scene.
        """
        if self.photo is None:
            raise ConfigError("the studio does not draw scene 'photo'; make it with scene='photo'")
        photo = self.photo.draw(rng, plan, posed)
        main = photo.people[0]
        box = visible_box(rng, main.box, self.size)
        label = _label(rng, self.figure, plan, main.posed, main.camera, box, self.size)
        label['hidden'] = round(1 - main.seen * (1 - photo.hidden), 3)
        label['people'] = [
            {
                'box': person.box.round(2).tolist(),
                '2d_joints': person.camera.project(person.posed.keypoints).round(2).tolist(),
                'seen': round(person.seen, 3),
            }
            for person in photo.people
        ]
        return photo, label

    def draw_figure(
        self,
        rng: np.random.Generator,
        image: np.ndarray,
        posed: PosedFigure,
        camera: PlacedCamera,
        paint: Paint,
    ) -> np.ndarray:
        """Draws a figure under a light of its own over what is in an image.

        Args:
            rng: Source of randomness, for the light.
            image: (H, W, 3) float32 RGB, 0..1, of the studio's size; drawn on in place.
            posed: The posed figure, of :meth:`pose`.
            camera: Where it stands.
            paint: Its colours, of ``painter.paint``.

        Returns:
            (H, W) bool, where it was drawn.
        """
        figure = self.figure
        vertices, faces = posed.vertices, figure.faces
        values = np.concatenate(
            [figure.normals(vertices), paint.colors, paint.cloth, paint.texture], axis=1
        )
        # Unit normals first, or big faces would outweigh small ones within a triangle.
        values[:, :3] /= np.maximum(np.linalg.norm(values[:, :3], axis=1, keepdims=True), 1e-12)
        if isinstance(self.painter, HandPainter):
            vertices, values, faces = add_forearm(rng, self.painter, vertices, values, paint.colors)
        moved = vertices + camera.translation
        seen = rasterize(
            camera.project(vertices),
            moved[:, 2],
            faces,
            self.size,
            both_sides=figure.kind == 'hand',
        )
        at_pixels = seen.interpolate(values.astype(np.float32), faces)
        colors = at_pixels[:, 3:6]
        if figure.kind == 'body':
            weave(paint, colors, at_pixels[:, 6:8], at_pixels[:, 8:])
        lit = sample_light(rng).shade(colors, at_pixels[:, :3])
        image.reshape(-1, 3)[seen.pixels] = np.clip(lit, 0, 1)
        mask = np.zeros(image.shape[0] * image.shape[1], dtype=bool)
        mask[seen.pixels] = True
        return mask.reshape(image.shape[:2])


def _label(
    rng: np.random.Generator,
    figure: Figure,
    plan: Plan,
    posed: PosedFigure,
    camera: PlacedCamera,
    box: np.ndarray,
    size: tuple[int, int],
) -> dict:
    """The label row: exact projections, joints relative to the root, the box with some jitter."""
    keypoints = camera.project(posed.keypoints)
    inside = ((keypoints >= 0) & (keypoints <= np.array(size) - 1.0)).all(axis=1)
    root = posed.keypoints[figure.root]
    joints = posed.keypoints - root
    side = max(box[2] - box[0], box[3] - box[1])
    jitter = np.clip(rng.normal(0.0, 0.02, 2), -0.04, 0.04) * side
    label = make_label(
        center=((box[:2] + box[2:]) / 2 + jitter).round(2),
        scale=round(1.2 * side / 200 * float(np.clip(rng.normal(1.0, 0.03), 0.94, 1.08)), 5),
        joints_2d=np.column_stack([keypoints.round(3), inside]),
        joints_3d=np.column_stack([joints.round(6), np.ones(len(joints))]),
        pose=plan.pose,
        betas=plan.betas,
        gender='neutral',
        body='smpl' if figure.kind == 'body' else 'hand',
    )
    # Beyond the official fields, which readers pass over: enough to project any point again.
    label['camera'] = {
        'focal': round(float(camera.focal), 4),
        'principal': camera.principal.tolist(),
        'root': (root + camera.translation).round(6).tolist(),
    }
    label['pose_family'] = plan.family
    return label
