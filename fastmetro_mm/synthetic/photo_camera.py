# SPDX-License-Identifier: Apache-2.0
"""How photographs frame people: whole, cut at the knees or the waist, small, close, at an edge."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fastmetro_mm.synthetic.camera_placement import PlacedCamera, bounding_box

FRAMINGS = {'whole': 0.60, 'knees': 0.11, 'waist': 0.13, 'bust': 0.06, 'edge': 0.10}
"""What of the person fills the image, and how often."""
LENSES = (0.7, 4.0)
"""Shortest and longest focal length, in sides of the image."""


@dataclass(frozen=True)
class Framing:
    """Vertices that a framing shows."""

    rows: dict[str, np.ndarray]  # name of the framing to vertex numbers


def body_framing(rest: np.ndarray, rest_joints: np.ndarray) -> Framing:
    """Which vertices belong into the image, from the heights of the rest pose.

    Args:
        rest: (V, 3) vertices at rest, metres, y up.
        rest_joints: (24, 3) joints at rest.
    """
    height, reach = rest[:, 1], np.abs(rest[:, 0])
    knee, hip, chest = rest_joints[4, 1], rest_joints[1, 1], rest_joints[9, 1]
    forearm, arm = rest_joints[18, 0], rest_joints[16, 0]
    # A sparse choice is enough for a box; hands come into a half-length portrait only by chance.
    return Framing(
        {
            'whole': np.arange(0, len(rest), 3),
            'edge': np.arange(0, len(rest), 3),
            'knees': np.flatnonzero(height > knee + 0.06)[::2],
            'waist': np.flatnonzero((height > hip + 0.02) & (reach < forearm))[::2],
            'bust': np.flatnonzero((height > chest - 0.08) & (reach < arm + 0.06))[::2],
        }
    )


def place_photo_camera(
    rng: np.random.Generator,
    points: np.ndarray,
    framing: Framing,
    size: tuple[int, int],
    framings: Mapping[str, float] = FRAMINGS,
    lenses: tuple[float, float] = LENSES,
) -> tuple[PlacedCamera, str]:
    """Chooses lens, distance and place in the image.

    Args:
        rng: Source of randomness.
        points: (V, 3) vertices, metres, camera axes, any origin near the body.
        framing: Of :func:`body_framing`.
        size: Width and height of the image, pixels.
        framings: Names of framings and how often each is chosen.
        lenses: Shortest and longest focal length, in sides of the image.

    Returns:
        The camera and the name of the framing.
    """
    kind = str(rng.choice(tuple(framings), p=tuple(framings.values())))
    shown = points[framing.rows[kind]]
    extent = np.array(size, dtype=np.float64)
    focal = max(size) * np.exp(rng.uniform(*np.log(lenses)))
    # Cut-off people fill the height of an image; to their sides it goes on, as behind whole ones.
    share = rng.uniform(0.62, 0.90)
    if kind == 'whole':
        share = rng.uniform(0.58, 0.85) if rng.random() < 0.8 else rng.uniform(0.35, 0.97)
    elif kind == 'edge':
        share = rng.uniform(0.7, 1.2)
    side = share * min(size)
    tight = rng.random() < 0.2  # close to an edge of the image
    place = rng.random(2)
    cut = rng.uniform(0.08, 0.42, 2) * (rng.random(2) < 0.6)
    if not cut.any():
        cut[rng.integers(2)] = 0.25
    towards = np.where(rng.random(2) < (0.5, 0.75), 1.0, -1.0)
    principal = extent / 2
    reach = float(np.ptp(points, axis=0).max())
    # Nobody is photographed from closer than this, measured to the nearest point.
    closest = 0.45 * reach - points[:, 2].min()
    middle = shown[:, 2].mean()
    size_3d = max(float(np.ptp(shown, axis=0)[:2].max()), 0.2)
    translation = np.array([0.0, 0.0, max(focal * size_3d / side - middle, closest)])
    for _ in range(5):  # the box depends a little on the place in the image, so go round again
        camera = PlacedCamera(focal, principal, translation)
        box = bounding_box(camera.project(shown))
        spread, center = box[2:] - box[:2], (box[:2] + box[2:]) / 2
        if kind == 'edge':
            edge = np.where(towards > 0, extent, 0.0)
            outside = edge + towards * (cut - 0.5) * spread
            target = np.where(cut > 0, outside, principal)
        elif kind == 'whole':
            room = np.maximum(extent - (1.0 if tight else 1.2) * spread.max(), 0.0)
            target = principal + (place - 0.5) * np.minimum(room, extent - spread)
        else:
            target = principal + (place - 0.5) * np.maximum(extent - 1.2 * side, 0.0)
            target[1] = extent[1] - spread[1] * (0.48 - 0.12 * place[1])
        distance = translation[2] + middle
        wanted = distance * spread.max() / side - middle
        if wanted < closest:  # a longer lens makes it as big as wanted
            focal *= (closest + middle) / (wanted + middle)
        shift = (target - center) * distance / focal
        translation = np.array([*(translation[:2] + shift), max(wanted, closest)])
    return PlacedCamera(focal, principal, translation), kind


def place_companion(
    rng: np.random.Generator, camera: PlacedCamera, main: np.ndarray, points: np.ndarray
) -> PlacedCamera:
    """Puts another person near the main one, on about the same ground, in the same camera.

    Args:
        rng: Source of randomness.
        camera: Camera of the main person.
        main: (V, 3) vertices of the main person.
        points: (V, 3) vertices of the other one.

    Returns:
        The same camera with the other one's translation.
    """
    depth = camera.translation[2] + float(main[:, 2].mean())
    away = float(np.exp(rng.uniform(-0.3, 0.25) if rng.random() < 0.6 else rng.uniform(0.0, 1.1)))
    z = max(depth * away, 0.5 + 0.5 * float(np.ptp(points[:, 2])))
    width = 0.5 * (float(np.ptp(main[:, 0])) + float(np.ptp(points[:, 0])))
    aside = rng.choice([-1.0, 1.0]) * rng.uniform(0.35, 1.3) * width
    x = (camera.translation[0] + float(main[:, 0].mean())) * z / depth + aside
    low = camera.translation[1] + float(main[:, 1].max())
    translation = np.array(
        [
            x - float(points[:, 0].mean()),
            low - float(points[:, 1].max()) + rng.normal(0, 0.12),
            z - float(points[:, 2].mean()),
        ]
    )
    return PlacedCamera(camera.focal, camera.principal, translation)
