# SPDX-License-Identifier: Apache-2.0
"""Skirts and tails of coats: rings around both legs that follow the body's surface."""

from dataclasses import dataclass

import numpy as np

_LEVELS, _HALF = 12, 10


@dataclass(frozen=True)
class Skirt:
    """A skirt."""

    color: np.ndarray  # (3,) RGB
    length: float  # 0.3 above the knee, 0.5 at the knee, 1 at the ankle
    flare: float  # how far the hem lies outside the legs, metres


class SkirtPattern:
    """Which vertices of the body a skirt's rings hang on.

    Each ring runs around the outer half of the left leg and the outer half of the right one; the
    stretch between them is straight, as cloth is.

    Args:
        rest: (V, 3) rest vertices, metres.
        weights: (V, 24) skinning weights.
        joints: (24, 3) joints at rest.
    """

    def __init__(self, rest: np.ndarray, weights: np.ndarray, joints: np.ndarray) -> None:
        below = np.flatnonzero(weights[:, [0, 1, 2, 3, 4, 5, 7, 8]].sum(axis=1) > 0.6)
        candidates = rest[below]
        heights = np.linspace(joints[0, 1] + 0.08, joints[7, 1] + 0.05, _LEVELS)
        leg = joints[[1, 4, 7]]
        angles = np.linspace(-np.pi / 2, np.pi / 2, _HALF)
        rings = []
        for y in heights:
            center = [np.interp(-y, -leg[:, 1], leg[:, axis]) for axis in (0, 2)]
            ring = np.stack([center[0] + 0.12 * np.cos(angles), np.full(_HALF, y),
                             center[1] + 0.12 * np.sin(angles)], axis=1)  # fmt: skip
            other = ring[::-1] * (-1.0, 1.0, 1.0)
            goals = np.concatenate([ring, other])
            distance = ((candidates[None] - goals[:, None]) ** 2 * (1.0, 4.0, 1.0)).sum(axis=2)
            rings.append(below[distance.argmin(axis=1)])
        self._rows = np.stack(rings)

        down = np.broadcast_to(heights[:, None], self._rows.shape)
        around = np.broadcast_to(0.05 * np.arange(2 * _HALF), self._rows.shape)
        self._texture = np.stack([down, around], axis=2).reshape(-1, 2)

    def texture(self, count: int) -> np.ndarray:
        """(K, 2) texture coordinates of the first ``count`` vertices, metres."""
        return self._texture[:count]

    def drape(
        self, skirt: Skirt, vertices: np.ndarray, normals: np.ndarray, offset: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hangs a skirt on a posed body.

        Args:
            skirt: What to hang.
            vertices: (V, 3) vertices of the body.
            normals: (V, 3) unit normals of the body.
            offset: (V,) clothes beneath, metres.

        Returns:
            (K, 3) vertices, (K, 3) normals, and (F, 3) faces of both sides.
        """
        levels = max(3, round(skirt.length * _LEVELS))
        rows = self._rows[:levels]
        out = (0.01 + skirt.flare * np.linspace(0, 1, levels))[:, None] + offset[rows]
        # The straight stretches in front and behind move out with their neighbours.
        points = vertices[rows] + normals[rows] * out[..., None]
        columns = rows.shape[1]
        a = np.arange((levels - 1) * columns)
        b = a // columns * columns + (a + 1) % columns
        c, d = b + columns, a + columns
        outside = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
        faces = np.concatenate([outside, outside[:, ::-1]])
        return points.reshape(-1, 3), normals[rows].reshape(-1, 3), faces
