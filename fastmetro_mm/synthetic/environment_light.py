# SPDX-License-Identifier: Apache-2.0
"""Light of real places: irradiance as nine spherical-harmonic numbers for each colour.

The numbers were taken from CC0 panoramas by ``projects/free_model``; the panoramas themselves are
not needed. See Ramamoorthi and Hanrahan, "An Efficient Representation for Irradiance Environment
Maps", SIGGRAPH 2001.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

LIGHTS_FILE = Path(__file__).parent / 'assets' / 'lights.npz'


def sh_basis(directions: np.ndarray) -> np.ndarray:
    """The nine real spherical harmonics of order 0 to 2 at (N, 3) unit vectors, (N, 9)."""
    x, y, z = directions.T
    return np.stack(
        [
            np.full_like(x, 0.282095),
            0.488603 * y, 0.488603 * z, 0.488603 * x,
            1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1),
            1.092548 * x * z, 0.546274 * (x * x - y * y),
        ],
        axis=1,
    )  # fmt: skip


@lru_cache(maxsize=1)
def load_lights() -> np.ndarray:
    """(L, 9, 3) irradiance of the places, y up; mean 1 over all directions and colours."""
    with np.load(LIGHTS_FILE, allow_pickle=False) as data:
        return data['irradiance']


@dataclass(frozen=True)
class EnvironmentLight:
    """Light from all around, and perhaps a lamp or the sun."""

    irradiance: np.ndarray  # (9, 3) spherical-harmonic numbers in the axes of ``turn``
    turn: np.ndarray  # (3, 3) from camera axes to the axes of the numbers
    strength: float  # factor over everything
    floor: float  # least light anywhere, so that nothing is black
    lamp: np.ndarray  # (3,) unit vector towards the lamp, camera axes
    lamp_color: np.ndarray  # (3,) RGB strength of the lamp

    def shade(self, colors: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Lights (P, 3) colours with (P, 3) unit outward normals, camera axes."""
        light = sh_basis(normals @ self.turn.T) @ self.irradiance
        light *= self.strength
        np.maximum(light, self.floor, out=light)
        facing = np.maximum(normals @ self.lamp, 0.0)
        light += facing[:, None] * self.lamp_color
        return colors * light


def sample_environment(rng: np.random.Generator) -> EnvironmentLight:
    """A place, turned by any angle, dim or bright, with a lamp in half of them."""
    lights = load_lights()
    irradiance = lights[rng.integers(len(lights))]
    # Places differ in colour more than photos do, whose white is balanced.
    gray = irradiance.mean(axis=1, keepdims=True)
    irradiance = gray + rng.uniform(0.2, 0.8) * (irradiance - gray)
    # Soft as on a cloudy day, or as the place has it.
    contrast = np.concatenate([[1.0], np.full(8, rng.uniform(0.45, 1.0))])
    angle, tilt = rng.uniform(0, 2 * np.pi), rng.normal(0.0, 0.15)
    cosine, sine = np.cos(angle), np.sin(angle)
    around = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    over = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    upright = np.diag([1.0, -1.0, -1.0])  # the camera's y points down
    lit = rng.random() < 0.5
    height, side = rng.uniform(0.1, 1.4), rng.normal(0.0, 1.3)
    lamp = np.array(
        [np.cos(height) * np.sin(side), -np.sin(height), -np.cos(height) * np.cos(side)]
    )
    warmth = 1.0 + rng.normal(0.0, 0.08) * np.array([1.0, 0.0, -1.0])
    return EnvironmentLight(
        irradiance=(irradiance * contrast[:, None]).astype(np.float32),
        turn=(around @ over @ upright).astype(np.float32),
        strength=float(rng.uniform(0.75, 1.2) * (0.7 if lit else 1.0)),
        floor=float(rng.uniform(0.12, 0.35)),
        lamp=lamp.astype(np.float32),
        lamp_color=(lit * rng.uniform(0.2, 0.75) * warmth).astype(np.float32),
    )
