# SPDX-License-Identifier: Apache-2.0
"""An image as a photographer might take it: dressed people before a real place."""

import os
from collections.abc import Sequence

import numpy as np

from fastmetro_mm.synthetic.appearance import weave
from fastmetro_mm.synthetic.body_sampling import Plan
from fastmetro_mm.synthetic.camera_placement import PlacedCamera, bounding_box
from fastmetro_mm.synthetic.environment_light import EnvironmentLight, sample_environment
from fastmetro_mm.synthetic.figures import Figure, PosedFigure
from fastmetro_mm.synthetic.lighting import Light
from fastmetro_mm.synthetic.occluders import draw_occluders
from fastmetro_mm.synthetic.outfits import Outfit, OutfitPainter
from fastmetro_mm.synthetic.photo_backgrounds import PhotoBackgrounds
from fastmetro_mm.synthetic.photo_camera import body_framing, place_companion, place_photo_camera
from fastmetro_mm.synthetic.photo_canvas import Canvas, Person, Photo, inside_image
from fastmetro_mm.synthetic.photo_effects import finish_image
from fastmetro_mm.synthetic.shadows import contact_shadow

OCCLUDED = 0.18
"""Share of images with things in front of the people."""
_MOST_HIDDEN = 0.40  # share of the labelled person behind others


class PhotoScene:
    """Draws images of people.

    Every step has a method of its own, so that another scene can take one from elsewhere.

    Args:
        figure: The body.
        size: Width and height, pixels.
        backgrounds: Folder of photos without people, see
            :func:`~fastmetro_mm.synthetic.photo_backgrounds.find_backgrounds`.
    """

    def __init__(
        self, figure: Figure, size: tuple[int, int], backgrounds: str | os.PathLike | None = None
    ) -> None:
        self.figure = figure
        self.size = size
        self.backgrounds = PhotoBackgrounds(backgrounds)
        self.painter = OutfitPainter(
            figure.rest, figure.weights, figure.rest_joints, figure.rest_keypoints, figure.faces
        )
        self.framing = body_framing(figure.rest, figure.rest_joints)

    def draw(self, rng: np.random.Generator, plan: Plan, posed: Sequence[PosedFigure]) -> Photo:
        """Draws one image.

        Args:
            rng: Source of randomness.
            plan: Plan of the labelled person, with companions.
            posed: The labelled person, then the companions.
        """
        width, height = self.size
        main = posed[0]
        camera, framing = self.camera(rng, main.vertices)
        image = self.background(rng)
        light = self.light(rng)
        box = bounding_box(camera.project(main.vertices))
        self.shadow(rng, image, box)
        canvas = Canvas(image)
        outfit = self.dress(rng, plan.family)
        total = self._draw_person(canvas, 0, main, camera, outfit, light, 1.0)
        people = [(camera, main, box, total)]
        for other, figure in zip(plan.companions, posed[1:], strict=True):
            placed = self.companion(rng, camera, main.vertices, figure.vertices)
            outfit = self.dress(rng, other.family)
            place = bounding_box(placed.project(figure.vertices))
            if (place[2:] < 8).any() or (place[:2] > np.array(self.size) - 8).any():
                continue
            count = self._draw_person(
                canvas, len(people), figure, placed, outfit, light, _MOST_HIDDEN * total
            )
            if count:
                people.append((placed, figure, place, count))
        mask = (canvas.owner == 0).reshape(height, width)
        hidden = self.occlude(rng, image, inside_image(box, self.size), mask)
        left = np.bincount(canvas.owner[canvas.owner >= 0], minlength=len(people))
        return Photo(
            self.finish(rng, image),
            [Person(*person[:3], seen=float(left[number] / max(person[3], 1)))
             for number, person in enumerate(people)],
            hidden,
            framing,
        )  # fmt: skip

    def camera(self, rng: np.random.Generator, points: np.ndarray) -> tuple[PlacedCamera, str]:
        """Lens, distance and place of the labelled person (V, 3), and the framing's name."""
        return place_photo_camera(rng, points, self.framing, self.size)

    def background(self, rng: np.random.Generator) -> np.ndarray:
        """The place (H, W, 3) float32 RGB, 0..1."""
        return self.backgrounds.draw(rng, self.size)

    def light(self, rng: np.random.Generator) -> EnvironmentLight | Light:
        """The light on everybody."""
        return sample_environment(rng)

    def shadow(self, rng: np.random.Generator, image: np.ndarray, box: np.ndarray) -> None:
        """Darkens the ground below a box (4,) in most images, in place."""
        if rng.random() < 0.6:
            contact_shadow(rng, image, box)

    def dress(self, rng: np.random.Generator, family: str) -> Outfit:
        """Looks of one person."""
        return self.painter.dress(rng, self.backgrounds, family)

    def companion(
        self, rng: np.random.Generator, camera: PlacedCamera, main: np.ndarray, points: np.ndarray
    ) -> PlacedCamera:
        """The camera with the place of another person (V, 3) beside the labelled one (V, 3)."""
        return place_companion(rng, camera, main, points)

    def occlude(
        self, rng: np.random.Generator, image: np.ndarray, box: np.ndarray, mask: np.ndarray
    ) -> float:
        """Draws things in front of the labelled person in some images; the share they hide."""
        if rng.random() >= OCCLUDED:
            return 0.0
        return draw_occluders(rng, image, box, mask, 0.35, self._surface)

    def finish(self, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
        """Takes the image: (H, W, 3) uint8 RGB."""
        return finish_image(rng, image)

    def _surface(self, rng: np.random.Generator) -> np.ndarray:
        return self.backgrounds.surface(rng, self.size)

    def _draw_person(
        self,
        canvas: Canvas,
        number: int,
        posed: PosedFigure,
        camera: PlacedCamera,
        outfit: Outfit,
        light: EnvironmentLight | Light,
        may_hide: float,
    ) -> int:
        """Draws a person where nobody nearer is; returns how many pixels the person covers.

        A companion who would hide more than ``may_hide`` pixels of the labelled person is left
        out, and 0 returned.
        """
        vertices, values, faces = self._mesh(posed, outfit)
        return canvas.draw(
            number, vertices, values, faces, camera, light, self.size, may_hide,
            lambda at_pixels: _cloth_colors(outfit, at_pixels),
        )  # fmt: skip

    def _mesh(
        self, posed: PosedFigure, outfit: Outfit
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The dressed body with skirt and gear: vertices, values (.., 10) and faces."""
        figure, paint = self.figure, outfit.paint
        normals = figure.normals(posed.vertices)
        normals /= np.maximum(np.sqrt((normals * normals).sum(axis=1, keepdims=True)), 1e-12)
        body = posed.vertices + normals * outfit.offset[:, None]
        vertices, faces = [body], [figure.faces]
        values = [np.concatenate([normals, paint.colors, paint.cloth, paint.texture], axis=1)]
        count = len(body)

        def add(points: np.ndarray, out: np.ndarray, own: np.ndarray, color: np.ndarray,
                cloth: tuple[float, float], texture: np.ndarray) -> None:  # fmt: skip
            nonlocal count
            vertices.append(points)
            faces.append(own + count)
            plain = np.broadcast_to(np.concatenate([color, cloth]), (len(points), 5))
            values.append(np.concatenate([out, plain, texture], axis=1))
            count += len(points)

        if outfit.skirt is not None:
            points, out, own = self.painter.skirt_pattern.drape(
                outfit.skirt, posed.vertices, normals, outfit.offset
            )
            places = self.painter.skirt_pattern.texture(len(points))
            add(points, out, own, outfit.skirt.color, (0.0, 1.0), places)
        for gear in outfit.gear:
            points, out = self.painter.place_gear(gear, posed.vertices)
            add(points, out, gear.shape.faces, gear.color, (0.0, 0.0), points[:, :2])
        return (
            np.concatenate(vertices).astype(np.float32),
            np.concatenate(values).astype(np.float32),
            np.concatenate(faces),
        )


def _cloth_colors(outfit: Outfit, at_pixels: np.ndarray) -> np.ndarray:
    """Colours (P, 3) of visible points with textures, patterns and folds."""
    colors, cloth, places = at_pixels[:, 3:6].copy(), at_pixels[:, 6:8], at_pixels[:, 8:]
    weave(outfit.paint, colors, cloth, places)
    for garment, texture in enumerate(outfit.textures):
        if texture is not None:
            rows = np.flatnonzero(cloth[:, garment] > 0.5)
            spot = (places[rows] * outfit.texture_scale).astype(np.int64) & 127
            colors[rows] *= texture[spot[:, 0], spot[:, 1]]
    if outfit.folds > 0.05:
        rows = np.flatnonzero(cloth.max(axis=1) > 0.5)
        along, across = places[rows].T
        wave = np.sin(38 * along + 5 * np.sin(23 * across)) * np.sin(31 * across + 3 * along)
        colors[rows] *= (1.0 + outfit.folds * wave)[:, None]
    return colors
