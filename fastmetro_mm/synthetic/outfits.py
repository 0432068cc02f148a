# SPDX-License-Identifier: Apache-2.0
"""Dressed people: skin by region, hair with volume, loose clothes, skirts, shoes and gear.

Cloth and hair are drawn as the body's own surface, moved outwards by a few millimetres (a shirt)
to several centimetres (a winter jacket, curls); labels keep the body beneath. Only what is no
offset of the body (skirts, brims, bags, things in the hands) has a mesh of its own.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from fastmetro_mm.synthetic.appearance import BodyPainter, Paint, skin_color
from fastmetro_mm.synthetic.appearance import hair_color as sample_hair_color
from fastmetro_mm.synthetic.appearance import pattern as sample_pattern
from fastmetro_mm.synthetic.backgrounds import random_color
from fastmetro_mm.synthetic.gear import (
    Gear,
    backpack,
    chair,
    hat_brim,
    held_object,
    rigid_motion,
    skis,
)
from fastmetro_mm.synthetic.photo_backgrounds import PhotoBackgrounds
from fastmetro_mm.synthetic.skirts import Skirt, SkirtPattern

_HEAD, _CHEST, _PELVIS = 15, 9, 0
_SITTING = ('sitting', 'at_a_table')


@dataclass(frozen=True)
class Outfit:
    """Everything about how one person looks."""

    paint: Paint  # colours and garments of the body's vertices
    offset: np.ndarray  # (V,) how far the drawn surface lies outside the body, metres
    # photo textures of the upper and the lower garment, or None
    textures: tuple[np.ndarray | None, np.ndarray | None]
    texture_scale: float  # pixels of a texture for a metre of cloth
    folds: float  # strength of folds, 0..1
    skirt: Skirt | None  # A skirt or a coat's tails, or None
    gear: list[Gear] = field(default_factory=list)  # what is worn and held


class OutfitPainter(BodyPainter):
    """Dresses 24-joint bodies.

    Args:
        rest: (V, 3) rest vertices, metres.
        weights: (V, 24) skinning weights.
        joints: (24, 3) joints at rest.
        keypoints: (24, 3) J24 joints at rest.
        faces: (F, 3) faces of the body.
    """

    def __init__(
        self,
        rest: np.ndarray,
        weights: np.ndarray,
        joints: np.ndarray,
        keypoints: np.ndarray,
        faces: np.ndarray,
    ) -> None:
        super().__init__(rest, weights, joints, keypoints)
        self.rest = rest
        self._eye_middle = (keypoints[20] + keypoints[21]) / 2
        self._smoother = _smoother(faces, len(rest))
        self.skirt_pattern = SkirtPattern(rest, weights, joints)
        groups = {'head': (15,), 'chest': (9, 6), 'pelvis': (0,), 'l_hand': (20, 22),
                  'r_hand': (21, 23), 'l_foot': (7, 10), 'r_foot': (8, 11)}  # fmt: skip
        self.parts = {
            name: np.flatnonzero(weights[:, list(rows)].sum(axis=1) > 0.7)[::9]
            for name, rows in groups.items()
        }
        x, y, z = rest.T
        trunk = ~self._on_arm & ~self._head
        behind = keypoints[22, 2] - 0.03
        self._back_hair = trunk & (z < behind) & (np.abs(x) < 0.12)
        self._beard = self._head & (z > keypoints[22, 2] + 0.01)
        self._beard &= y < keypoints[19, 1] - 0.022
        nose = rest - keypoints[19]
        self._blush = np.exp(-(nose**2).sum(axis=1) / 0.03**2) * self._head
        self._blush += 0.8 * self._head * np.exp(-(((np.abs(x) - 0.07) / 0.02) ** 2))
        eyes = np.minimum(
            *(np.abs((rest[:, :2] - keypoints[row, :2]) / (0.024, 0.016)).max(axis=1)
              for row in (20, 21))
        )  # fmt: skip
        self._glasses = self._head & (z > keypoints[22, 2] + 0.03) & (eyes < 1)
        self._whites = self._head & (z > keypoints[22, 2] + 0.03) & (eyes < 0.72)

    def dress(
        self, rng: np.random.Generator, backgrounds: PhotoBackgrounds, family: str = ''
    ) -> Outfit:
        """Draws the looks of one person.

        Args:
            rng: Source of randomness.
            backgrounds: Where cloth textures come from.
            family: Pose family of the person; who sits may get a chair.
        """
        skin, hair = skin_color(rng), sample_hair_color(rng)
        colors = np.empty((len(self._height), 3), dtype=np.float32)
        colors[:] = skin
        red = np.array([0.10, -0.06, -0.05], dtype=np.float32) * rng.uniform(0.1, 0.8)
        colors += self._blush[:, None] * red
        offset = np.zeros(len(self._height), dtype=np.float32)
        gear: list[Gear] = []
        self._paint_face(rng, colors, skin, hair)
        self._cover_head(rng, colors, offset, hair, gear)
        on_upper, on_lower, upper, lower, skirt = self._cover_body(rng, colors, offset)
        self._put_on_shoes(rng, colors, offset, on_lower)
        if rng.random() < 0.06:  # gloves
            hands = self._on_arm & (self._along_arm > rng.uniform(1.85, 2.0))
            colors[hands] = random_color(rng, 0.7)
            offset[hands] = rng.uniform(0.002, 0.008)
        gear += self._take(rng, family)
        grain = rng.standard_normal(len(colors)).astype(np.float32)
        bare = np.where(on_upper | on_lower, 0.01, 0.035)
        colors *= (1.0 + bare * grain)[:, None].astype(np.float32)
        offset = self._smoother @ offset
        cloth = np.stack([on_upper, on_lower], axis=1).astype(np.float32)
        first, second = (
            sample_pattern(rng, color) if rng.random() < share else (color, 0, 0.1)
            for color, share in ((upper, 0.45), (lower, 0.25))
        )
        paint = Paint(np.clip(colors, 0, 1), cloth, self._texture, (first, second))
        above, below = (
            backgrounds.texture(rng) if rng.random() < share else None for share in (0.4, 0.25)
        )
        return Outfit(
            paint, offset, (above, below), float(np.exp(rng.uniform(np.log(60), np.log(700)))),
            float(rng.uniform(0.0, 0.35)), skirt, gear,
        )  # fmt: skip

    def _paint_face(
        self, rng: np.random.Generator, colors: np.ndarray, skin: np.ndarray, hair: np.ndarray
    ) -> None:
        colors[self._mouth] = skin * (0.95, rng.uniform(0.4, 0.7), rng.uniform(0.45, 0.7))
        colors[self._brows] = 0.5 * hair + 0.2 * skin
        colors[self._whites] = 0.5 * skin + 0.35
        colors[self._eyes] = rng.choice([0.06, 0.14, 0.22]) * np.ones(3)
        if rng.random() < 0.14:
            colors[self._beard] += rng.uniform(0.4, 0.95) * (0.9 * hair - colors[self._beard])
        if rng.random() < 0.10:
            colors[self._glasses] = rng.uniform(0.02, 0.25) * np.ones(3)

    def _cover_head(
        self,
        rng: np.random.Generator,
        colors: np.ndarray,
        offset: np.ndarray,
        hair: np.ndarray,
        gear: list[Gear],
    ) -> None:
        """Hair of some cut and volume, and in some a cap, a hat, a helmet, a hood or a scarf."""
        level = self._hair_level
        style = rng.choice(5, p=[0.38, 0.38, 0.07, 0.05, 0.12])  # short, long, thin, none, big
        if style != 3:
            line = (0.0, -0.25, 0.45, 0.0, -0.1)[style] + rng.normal(0.0, 0.06)
            covered = level > line
            volume = rng.uniform(
                *((0.004, 0.02), (0.01, 0.035), (0.0, 0.004), (0, 0), (0.03, 0.09))[style]
            )
            if style == 1 and rng.random() < 0.6:  # down to the shoulders or the back
                end = self._neck - rng.uniform(0.0, 0.28)
                covered = covered | (self._back_hair & (self._height > end))
            strands = 1.0 + 0.12 * np.sin(900 * self.rest[:, 0] + rng.uniform(0, 6))
            colors[covered] = hair * strands[covered, None]
            offset[covered] = volume
        draw = rng.random()
        if draw < 0.22:  # something on the head
            line = rng.choice([0.25, 0.1, -0.1])
            covered = level > line
            if draw < 0.04:  # a hood or a head scarf leaves only the face free
                covered = level > -0.75 + rng.uniform(0, 0.2)
            colors[covered] = random_color(rng, 0.9)
            offset[covered] = rng.uniform(0.008, 0.045)
            if draw > 0.09:
                gear.append(hat_brim(rng, self._eye_middle))

    def _cover_body(
        self, rng: np.random.Generator, colors: np.ndarray, offset: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Skirt | None]:
        """Shirt or jacket, trousers, shorts, a skirt or a dress: masks and colours."""
        upper, lower = random_color(rng, 0.95), random_color(rng, 0.75)
        draw = rng.random()
        if draw < 0.14:  # a suit, an overall or a dress
            lower = upper * rng.uniform(0.9, 1.1)
        elif draw < 0.34:  # jeans and dark trousers are what most people wear
            lower = np.array([0.16, 0.22, 0.36]) * rng.uniform(0.4, 1.8)
        elif draw < 0.46:
            lower = np.full(3, rng.uniform(0.03, 0.2))
        sleeve = rng.choice([0.12, 0.6, 1.0, 1.88], p=[0.14, 0.34, 0.06, 0.46])
        sleeve += rng.normal(0, 0.06)
        leg = rng.choice([0.3, 0.85, 1.45, 1.92], p=[0.12, 0.17, 0.05, 0.66]) + rng.normal(0, 0.05)
        waist = self._waist + rng.uniform(-0.12, 0.12)
        neckline = self._neck + rng.uniform(-0.08, 0.045)
        above = self._height > waist
        on_upper = np.where(
            self._on_arm, self._along_arm < sleeve, above & (self._height < neckline)
        )
        on_upper &= ~self._head
        on_lower = ~above & (self._along_leg < leg) & ~self._on_arm
        if rng.random() < 0.05:
            on_upper[:] = False
        bulk = rng.choice(3, p=[0.42, 0.40, 0.18])
        fit = rng.uniform(*((0.001, 0.006), (0.006, 0.022), (0.02, 0.05))[bulk])
        wide = rng.uniform(
            *((0.001, 0.005), (0.005, 0.02), (0.015, 0.045))[rng.choice(3, p=[0.40, 0.42, 0.18])]
        )
        # Cloth hangs wider the further down it is, and never lies equally close everywhere.
        along = np.where(self._on_arm, self._along_arm, (neckline - self._height) / 0.5)
        waves = 1.0 + 0.35 * np.sin(self._texture @ rng.normal(0, 25, 2) + rng.uniform(0, 6))
        offset[on_upper] = (fit * (0.5 + 0.5 * np.clip(along, 0, 1.5)) * waves)[on_upper]
        offset[on_lower] = (wide * (0.4 + 0.5 * self._along_leg) * waves)[on_lower]
        colors[on_upper], colors[on_lower] = upper, lower
        skirt = None
        draw = rng.random()
        if draw < 0.10:
            skirt = Skirt(lower, rng.uniform(0.35, 1.0), rng.uniform(0.01, 0.16))
        elif draw < 0.14 and bulk == 2:  # the tails of a coat
            skirt = Skirt(upper, rng.uniform(0.3, 0.7), rng.uniform(0.03, 0.08))
        return on_upper, on_lower, upper, lower, skirt

    def _put_on_shoes(
        self, rng: np.random.Generator, colors: np.ndarray, offset: np.ndarray, on_lower: np.ndarray
    ) -> None:
        if rng.random() < 0.14:
            return
        boot = self._ankle + rng.choice([0.0, 0.0, 0.06, 0.16]) + 0.01
        low = ~self._on_arm & (self._height < boot) & (self._height < self._waist - 0.3)
        shoe = self._on_foot & low | low
        colors[shoe] = random_color(rng, 0.6) * rng.uniform(0.3, 1.0)
        sole = shoe & (self._height < self._height.min() + 0.02)
        colors[sole] = rng.choice([0.05, 0.3, 0.85])
        offset[shoe] = rng.uniform(0.003, 0.016)
        on_lower &= ~shoe

    def _take(self, rng: np.random.Generator, family: str) -> list[Gear]:
        gear: list[Gear] = []
        share = 0.45 if family in ('swinging', 'holding', 'riding_stance', 'phoning') else 0.09
        for side in 'lr':
            if rng.random() < share:
                gear.append(held_object(rng, side))
        if rng.random() < 0.06:
            gear.append(backpack(rng))
        if family in _SITTING and rng.random() < 0.6:
            gear.append(chair(rng))
        if rng.random() < (0.25 if family == 'riding_stance' else 0.008):
            gear += skis(rng)
        return gear

    def place_gear(self, gear: Gear, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and normals of a thing on a posed body (V, 3), camera axes."""
        rows = self.parts[gear.part]
        turn, shift = rigid_motion(self.rest[rows], vertices[rows])
        if gear.hangs:
            hold = self.rest[rows].mean(axis=0)
            down = np.diag([1.0, -1.0, -1.0])
            turn, shift = down, turn @ hold + shift - down @ hold
        moved = gear.shape.moved(turn, shift)
        return moved.vertices, moved.normals


def _smoother(faces: np.ndarray, count: int) -> sparse.csr_matrix:
    """(V, V) matrix that averages a value with those of the neighbours, twice."""
    a, b = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    near = sparse.csr_matrix((np.ones(len(a), np.float32), (a, b)), (count, count))
    near = near.maximum(near.T) + sparse.identity(count, dtype='f4', format='csr')
    share = sparse.diags(1.0 / np.asarray(near.sum(axis=1)).ravel())
    once = (share @ near).tocsr()
    return (once @ once).tocsr().astype(np.float32)
