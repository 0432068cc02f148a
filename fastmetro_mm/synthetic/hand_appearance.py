# SPDX-License-Identifier: Apache-2.0
"""Colours of the hand, and the forearm or sleeve that continues its open wrist."""

import numpy as np

from fastmetro_mm.synthetic.appearance import Paint, skin_color
from fastmetro_mm.synthetic.backgrounds import random_color

_RINGS = ((0.03, 1.02), (0.10, 1.18), (0.22, 1.42))
"""Rings of the forearm: distance from the wrist, metres, and width relative to the wrist."""
_TIP_ROWS = (4, 8, 12, 16, 20)


def wrist_loop(faces: np.ndarray) -> np.ndarray:
    """Vertices around the one opening of a mesh, in the order of its faces' border edges."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    known = {tuple(edge) for edge in edges.tolist()}
    following = {a: b for a, b in known if (b, a) not in known}
    start = min(following)
    loop = [start]
    while following[loop[-1]] != start:
        loop.append(following[loop[-1]])
    return np.array(loop)


class HandPainter:
    """Colours the vertices of the hand.

    Args:
        rest: (V, 3) rest vertices, metres.
        faces: (F, 3) faces, open at the wrist.
        keypoints: (21, 3) joints at rest.
    """

    def __init__(self, rest: np.ndarray, faces: np.ndarray, keypoints: np.ndarray) -> None:
        self.faces = faces
        self.loop = wrist_loop(faces)
        tips = keypoints[list(_TIP_ROWS)]
        distance = np.linalg.norm(rest[:, None] - tips, axis=2).min(axis=1)
        self._tip = np.clip(1.0 - distance / 0.02, 0, 1)[:, None].astype(np.float32)
        knuckles = keypoints[[r + i for r in (5, 9, 13, 17) for i in range(3)]]
        distance = np.linalg.norm(rest[:, None] - knuckles, axis=2).min(axis=1)
        self._knuckle = np.clip(1.0 - distance / 0.014, 0, 1)[:, None].astype(np.float32)

    def paint(self, rng: np.random.Generator) -> Paint:
        """Draws a skin colour, redder at the fingertips and knuckles."""
        skin = skin_color(rng).astype(np.float32)
        red = np.array([1.05, 0.88, 0.86], dtype=np.float32)
        blush = 0.5 * np.maximum(self._tip, 0.7 * self._knuckle)
        colors = skin * (1 - blush + blush * red)
        plain = (skin, 0, 1.0)
        none = np.zeros((len(colors), 2), dtype=np.float32)
        return Paint(colors.astype(np.float32), none, none, (plain, plain))


def add_forearm(
    rng: np.random.Generator,
    painter: HandPainter,
    vertices: np.ndarray,
    values: np.ndarray,
    colors: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Continues the open wrist by a tube of skin or cloth, only for the image.

    Args:
        rng: Source of randomness.
        painter: The painter of this hand.
        vertices: (V, 3) posed vertices, metres, camera axes.
        values: (V, C) vertex values, normal (3) and colour (3) first.
        colors: (V, 3) colours of this hand.

    Returns:
        Vertices, values and faces with the tube.
    """
    loop = painter.loop
    rim = vertices[loop]
    center = rim.mean(axis=0)
    # The rim's plane gives the direction; it must lead away from the hand.
    away = np.linalg.svd(rim - center)[2][2]
    if away @ (vertices.mean(axis=0) - center) > 0:
        away = -away
    away = away + rng.normal(0.0, 0.15, 3)
    away /= np.linalg.norm(away)
    sleeve = int(rng.integers(0, 4))  # from which ring on there is cloth; 3 = bare
    cloth = random_color(rng, 0.8)
    points, extra, faces = [vertices], [values], [painter.faces]
    previous, count = loop, len(loop)
    start = len(vertices)
    for ring, (distance, width) in enumerate(_RINGS):
        covered = ring >= sleeve
        spread = rim - center
        place = center + distance * away + spread * width * (1.12 if covered else 1.0)
        value = values[loop].copy()
        radial = spread - np.outer(spread @ away, away)
        value[:, :3] = radial / np.maximum(np.linalg.norm(radial, axis=1, keepdims=True), 1e-9)
        value[:, 3:6] = cloth if covered else colors[loop].mean(axis=0)
        points.append(place.astype(vertices.dtype))
        extra.append(value)
        current = np.arange(start, start + count)
        nxt, nxt_previous = np.roll(current, -1), np.roll(previous, -1)
        faces.append(np.stack([nxt_previous, previous, current], axis=1))
        faces.append(np.stack([nxt_previous, current, nxt], axis=1))
        previous, start = current, start + count
    return np.concatenate(points), np.concatenate(extra), np.concatenate(faces)
