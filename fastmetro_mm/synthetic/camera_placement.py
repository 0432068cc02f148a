# SPDX-License-Identifier: Apache-2.0
"""Where the camera stands: its angle, its focal length, and how the person lies in the image."""

from dataclasses import dataclass

import numpy as np

from fastmetro_mm.synthetic.rotations import rotate_about

_X, _Y, _Z = np.eye(3)


@dataclass(frozen=True)
class PlacedCamera:
    """A pinhole camera and the place of the body before it.

    Attributes:
        focal: Focal length, pixels.
        principal: (2,) principal point, pixels.
        translation: (3,) added to the body's points, metres, camera axes (x right, y down, z
            forward).
    """

    focal: float
    principal: np.ndarray
    translation: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """Projects (N, 3) body points, metres, to (N, 2) pixels."""
        moved = points + self.translation
        return moved[:, :2] / moved[:, 2:] * self.focal + self.principal


def sample_view(rng: np.random.Generator, facing: bool = False) -> np.ndarray:
    """Orientation of an upright body as the camera sees it.

    Body axes (y up, z forward) become camera axes (y down, z away from the camera). The person
    turns by any angle, more often towards the camera; the camera is held nearly upright, a little
    above the middle of the body, rarely looking steeply down or up or rolled.

    Args:
        rng: Source of randomness.
        facing: Turn by less than about 45 degrees before an upright camera.

    Returns:
        (3, 3) rotation from body axes to camera axes.
    """
    if facing:
        yaw, pitch = rng.uniform(-0.8, 0.8), rng.normal(0.08, 0.06)
        return rotate_about(_X, pitch + np.pi) @ rotate_about(_Y, yaw)
    yaw = rng.normal(0.0, 0.75) if rng.random() < 0.55 else rng.uniform(-np.pi, np.pi)
    pitch = rng.normal(0.08, 0.14) if rng.random() < 0.88 else rng.uniform(-0.45, 0.75)
    roll = rng.normal(0.0, 0.05) if rng.random() < 0.88 else rng.normal(0.0, 0.30)
    return (
        rotate_about(_Z, roll) @ rotate_about(_X, pitch + np.pi) @ rotate_about(_Y, yaw)
    )  # a turn by pi about x makes y point down and the body face the camera


def sample_photo_view(rng: np.random.Generator) -> np.ndarray:
    """Orientation of a body as photographs show it: from all around, sometimes rolled or steep.

    Returns:
        (3, 3) rotation from body axes to camera axes, see :func:`sample_view`.
    """
    yaw = rng.normal(0.0, 0.8) if rng.random() < 0.42 else rng.uniform(-np.pi, np.pi)
    pitch = rng.normal(0.08, 0.15) if rng.random() < 0.78 else rng.uniform(-0.5, 0.95)
    draw = rng.random()
    roll = rng.normal(0.0, 0.06)
    if draw > 0.97:
        roll = rng.uniform(-np.pi, np.pi)
    elif draw > 0.85:
        roll = rng.normal(0.0, 0.35)
    return rotate_about(_Z, roll) @ rotate_about(_X, pitch + np.pi) @ rotate_about(_Y, yaw)


def bounding_box(points: np.ndarray) -> np.ndarray:
    """(4,) left, top, right, bottom of (N, 2) points."""
    x, y = np.ascontiguousarray(points.T)  # NumPy is slow along the long axis of an (N, 2) array
    return np.array([x.min(), y.min(), x.max(), y.max()])


def place_camera(
    rng: np.random.Generator, points: np.ndarray, size: tuple[int, int], truncated: bool
) -> PlacedCamera:
    """Chooses focal length and translation so that the body fills a random part of the image.

    Args:
        rng: Source of randomness.
        points: (N, 3) vertices, metres, camera axes, any origin near the body.
        size: Width and height of the image, pixels.
        truncated: Let the box of the body reach out of the image.

    Returns:
        The camera. The angle of view is that of anything from a wide phone lens to a long lens.
    """
    extent = np.array(size, dtype=np.float64)
    focal = max(size) * np.exp(rng.uniform(np.log(0.95), np.log(4.0)))
    share = rng.uniform(0.75, 1.35) if truncated else rng.uniform(0.62, 0.95)
    side = share * min(size)
    where = rng.random(2)
    cut = rng.uniform(0.08, 0.35, 2) * np.where(rng.random(2) < 0.6, 1.0, 0.0)
    if not cut.any():
        cut[1] = 0.2
    towards = np.where(rng.random(2) < (0.5, 0.8), 1.0, -1.0)  # the feet are cut off most often
    principal = extent / 2
    reach = np.ptp(points, axis=0).max()
    # Nobody is photographed from closer than this, measured to the nearest point.
    closest = 0.7 * reach - points[:, 2].min()
    middle = points[:, 2].mean()
    translation = np.array([0.0, 0.0, max(focal * reach / side - middle, closest)])
    target = principal
    for _ in range(6):  # the box depends a little on the place in the image, so go round again
        camera = PlacedCamera(focal, principal, translation)
        box = bounding_box(camera.project(points))
        spread, center = box[2:] - box[:2], (box[:2] + box[2:]) / 2
        if truncated:
            edge = np.where(towards > 0, extent, 0.0)
            outside = edge + towards * (cut - 0.5) * spread
            inside = np.clip(principal, spread / 2, np.maximum(extent - spread / 2, spread / 2))
            target = np.where(cut > 0, outside, inside)
        else:
            room = np.maximum(extent - spread, 0.0)
            target = spread / 2 + room * (0.1 + 0.8 * where)
        distance = translation[2] + middle
        shift = (target - center) * distance / focal
        wanted = distance * spread.max() / side - middle
        if wanted < closest:  # a longer lens makes it as big as wanted
            focal *= (closest + middle) / (wanted + middle)
        translation = np.array([*(translation[:2] + shift), max(wanted, closest)])
    return PlacedCamera(focal, principal, translation)
