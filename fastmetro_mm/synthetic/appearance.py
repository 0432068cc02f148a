# SPDX-License-Identifier: Apache-2.0
"""Colours of body parts: skin, hair, face, upper and lower clothes, shoes, and cloth patterns.

Parts come from the skinning weights and the rest pose, so they fit any body in SMPL's joint order.
"""

from dataclasses import dataclass

import numpy as np

from fastmetro_mm.synthetic.backgrounds import random_color

# Rows of SMPL24.
_PELVIS, _NECK, _HEAD = 0, 12, 15
_ARMS = ((16, 18, 20, 22), (17, 19, 21, 23))
_LEGS = ((1, 4, 7), (2, 5, 8))
_FEET = (7, 8, 10, 11)
# Rows of J24 that lie on the face.
_NOSE, _L_EYE, _R_EYE, _L_EAR = 19, 20, 21, 22


@dataclass(frozen=True)
class Paint:
    """Colours of one person."""

    colors: np.ndarray  # (V, 3) float32 RGB, 0..1, without light
    cloth: np.ndarray  # (V, 2) float32, 1 where the upper and the lower garment are
    texture: np.ndarray  # (V, 2) float32, metres along the limb or trunk, and across it
    # for the upper and the lower garment: second colour (3,), kind 0 plain, 1 rings, 2 vertical
    # stripes, 3 checks, and width of the stripes in metres
    patterns: tuple[tuple[np.ndarray, int, float], tuple[np.ndarray, int, float]]


def skin_color(rng: np.random.Generator) -> np.ndarray:
    """A skin colour (3,), 0..1, from dark brown to pale, with a little change of hue."""
    stops = np.array(
        [[0.23, 0.14, 0.10], [0.50, 0.33, 0.24], [0.76, 0.56, 0.44], [0.95, 0.79, 0.70]]
    )
    place = rng.uniform(0, 3)
    low = min(2, int(place))
    color = stops[low] + (place - low) * (stops[low + 1] - stops[low])
    return np.clip(color * rng.normal(1.0, 0.05, 3), 0.05, 1.0)


def hair_color(rng: np.random.Generator) -> np.ndarray:
    """A hair colour (3,), 0..1: black, brown, fair, red or grey."""
    stops = np.array(
        [[0.05, 0.04, 0.04], [0.18, 0.11, 0.07], [0.40, 0.25, 0.13], [0.72, 0.56, 0.32],
         [0.55, 0.22, 0.10], [0.65, 0.64, 0.62]]
    )  # fmt: skip
    color = stops[rng.choice(6, p=[0.30, 0.28, 0.16, 0.12, 0.06, 0.08])]
    return np.clip(color * rng.normal(1.0, 0.12), 0.02, 1.0)


def pattern(rng: np.random.Generator, color: np.ndarray) -> tuple[np.ndarray, int, float]:
    """Second colour, kind and width of a garment's pattern, see :class:`Paint`."""
    kind = int(rng.choice(4, p=[0.55, 0.2, 0.1, 0.15]))
    second = random_color(rng, 0.8) if rng.random() < 0.6 else np.clip(color * 0.6, 0, 1)
    return second, kind, float(rng.uniform(0.03, 0.10))


class BodyPainter:
    """Colours the vertices of a 24-joint body.

    Args:
        rest: (V, 3) rest vertices, metres, T-pose, y up, z forward.
        weights: (V, 24) skinning weights.
        joints: (24, 3) joints of the kinematic tree at rest.
        keypoints: (24, 3) J24 joints at rest (for the face).
    """

    def __init__(
        self, rest: np.ndarray, weights: np.ndarray, joints: np.ndarray, keypoints: np.ndarray
    ) -> None:
        y, z = rest[:, 1], rest[:, 2]
        self._height = y
        arm_weight = weights[:, sum(_ARMS, ())].sum(axis=1)
        self._on_arm = arm_weight > 0.35
        self._on_foot = weights[:, _FEET].sum(axis=1) > 0.5
        self._ankle = joints[_LEGS[0][2], 1]
        self._waist = joints[_PELVIS, 1]
        self._neck = joints[_NECK, 1]
        # Rings run around trunk and legs (along y) and around the stretched arms (along x).
        self._texture = np.where(
            self._on_arm[:, None], np.abs(rest[:, [0, 1]]), rest[:, [1, 0]]
        ).astype(np.float32)
        # 0 at the shoulder, 1 elbow, 2 wrist; 0 at the hip, 1 knee, 2 ankle.
        arm = np.abs(joints[list(_ARMS[0][:3]), 0])
        self._along_arm = np.interp(np.abs(rest[:, 0]), arm, [0.0, 1.0, 2.0])
        hip, knee, ankle = joints[list(_LEGS[0]), 1]
        self._along_leg = np.interp(-y, [-hip, -knee, -ankle], [0.0, 1.0, 2.0])
        self._head = weights[:, _HEAD] > 0.4
        eye_y = 0.5 * (keypoints[_L_EYE, 1] + keypoints[_R_EYE, 1])
        ear_z = keypoints[_L_EAR, 2]
        size = max(joints[_HEAD, 1] - joints[_NECK, 1], 0.05)
        up, back = (y - eye_y) / size, (ear_z - z) / size
        # Above the forehead, or behind the ears down to the neck.
        self._hair_level = np.maximum(up - 0.45, np.minimum(up + 0.85, back - 0.05))
        self._hair_level[~(self._head | (weights[:, _NECK] > 0.5))] = -1.0
        front = z > ear_z + 0.02

        def spot(center: np.ndarray, reach: tuple[float, float]) -> np.ndarray:
            offset = (rest[:, :2] - center[:2]) / reach
            return (np.linalg.norm(offset, axis=1) < 1) & front & self._head

        pupil = (0.014, 0.010)
        self._eyes = spot(keypoints[_L_EYE], pupil) | spot(keypoints[_R_EYE], pupil)
        brow = np.array([0.0, 0.022])
        self._brows = spot(keypoints[_L_EYE, :2] + brow, (0.022, 0.007)) | spot(
            keypoints[_R_EYE, :2] + brow, (0.022, 0.007)
        )
        self._mouth = spot(keypoints[_NOSE, :2] - (0.0, 0.038), (0.026, 0.010))

    def paint(self, rng: np.random.Generator) -> Paint:
        """Draws skin, hair, clothes and shoes of one person."""
        skin, hair = skin_color(rng), hair_color(rng)
        upper, lower = random_color(rng, 0.9), random_color(rng, 0.7)
        colors = np.empty((len(self._height), 3), dtype=np.float32)
        colors[:] = skin
        colors[self._mouth] = skin * (0.95, 0.62, 0.62)

        style = rng.choice(4, p=[0.42, 0.33, 0.13, 0.12])  # short, long, receding, none
        if style < 3:
            line = (0.0, -0.25, 0.45)[style] + rng.normal(0.0, 0.05)
            colors[self._hair_level > line] = hair
        colors[self._brows] = 0.5 * hair + 0.2 * skin
        colors[self._eyes] = rng.choice([0.06, 0.14, 0.22]) * np.ones(3)

        # How far down the arm and the leg the cloth reaches: 1 = elbow, knee; 2 = wrist, ankle.
        sleeve = rng.choice([0.12, 0.6, 1.0, 1.85], p=[0.14, 0.40, 0.06, 0.40])
        sleeve += rng.normal(0, 0.05)
        leg = rng.choice([0.35, 0.85, 1.9], p=[0.16, 0.18, 0.66]) + rng.normal(0, 0.05)
        waist = self._waist + rng.uniform(-0.02, 0.12)
        neckline = self._neck + rng.uniform(-0.05, 0.03)
        above = self._height > waist
        on_trunk = above & (self._height < neckline)
        on_upper = np.where(self._on_arm, self._along_arm < sleeve, on_trunk)
        on_upper &= ~self._head
        on_lower = ~above & (self._along_leg < leg) & ~self._on_arm
        if rng.random() < 0.10:  # a dress or an overall
            lower = upper
        if rng.random() < 0.06:  # no shirt
            on_upper[:] = False
        colors[on_upper] = upper
        colors[on_lower] = lower
        if rng.random() < 0.85:
            boot = self._ankle + rng.choice([0.0, 0.0, 0.10])
            on_shoe = self._on_foot | (~above & ~self._on_arm & (self._height < boot))
            colors[on_shoe] = random_color(rng, 0.5) * rng.uniform(0.4, 1.0)
            on_lower &= ~on_shoe
        cloth = np.stack([on_upper, on_lower], axis=1).astype(np.float32)
        return Paint(colors, cloth, self._texture, (pattern(rng, upper), pattern(rng, lower)))


def weave(paint: Paint, colors: np.ndarray, cloth: np.ndarray, texture: np.ndarray) -> None:
    """Puts the patterns of the garments on visible points, in place.

    Args:
        paint: The person's colours.
        colors: (P, 3) colours of the points; changed in place.
        cloth: (P, 2) how much of the point is upper and lower garment.
        texture: (P, 2) texture coordinates of the points, metres.
    """
    for garment, (second, kind, width) in enumerate(paint.patterns):
        if kind == 0:
            continue
        rings, stripes = (np.floor(texture / width) % 2).T
        mask = (rings, stripes, (rings + stripes) % 2)[kind - 1]
        colors[(mask > 0.5) & (cloth[:, garment] > 0.5)] = second
