# SPDX-License-Identifier: Apache-2.0
"""Things that people wear, hold and sit on: small meshes that move with a part of the body."""

from dataclasses import dataclass

import numpy as np

from fastmetro_mm.synthetic.backgrounds import random_color


@dataclass(frozen=True)
class Shape:
    """A small mesh."""

    vertices: np.ndarray  # (V, 3) metres, in the axes of the body at rest
    normals: np.ndarray  # (V, 3) outward unit normals
    faces: np.ndarray  # (F, 3) counter-clockwise from outside

    def moved(self, turn: np.ndarray, shift: np.ndarray) -> 'Shape':
        """The shape turned about the origin, then shifted."""
        return Shape(self.vertices @ turn.T + shift, self.normals @ turn.T, self.faces)


def box(center: np.ndarray, half: np.ndarray) -> Shape:
    """An upright box with sharp edges."""
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
    vertices, normals, faces = [], [], []
    for axis in range(3):
        for side in (-1.0, 1.0):
            corner = np.zeros((4, 3))
            corner[:, axis] = side
            # The order of the two other axes keeps the corners counter-clockwise from outside.
            corner[:, (axis + 1) % 3] = signs[:, 0] * side
            corner[:, (axis + 2) % 3] = signs[:, 1]
            first = 4 * len(vertices)
            vertices.append(center + corner * half)
            normals.append(np.tile(side * np.eye(3)[axis], (4, 1)))
            faces += [[first, first + 1, first + 2], [first, first + 2, first + 3]]
    return Shape(np.concatenate(vertices), np.concatenate(normals), np.array(faces))


def _grid_faces(rows: int, columns: int) -> np.ndarray:
    """Faces of a tube of ``rows`` rings of ``columns`` points."""
    a = np.arange((rows - 1) * columns)
    b = a // columns * columns + (a + 1) % columns
    c, d = b + columns, a + columns
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


_TURNS = np.linspace(0, 2 * np.pi, 10, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1)


def _across(way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors that with ``way`` make a right-handed system."""
    first = np.cross(way, np.eye(3)[np.argmin(np.abs(way))])
    first /= np.linalg.norm(first)
    return first, np.cross(way, first)


def rod(start: np.ndarray, end: np.ndarray, radius: float, tip: float | None = None) -> Shape:
    """A round stick with closed ends, of one radius or with another one at its end."""
    way = (end - start) / np.linalg.norm(end - start)
    u, v = _across(way)
    ring = _CIRCLE[:, :1] * u + _CIRCLE[:, 1:] * v
    radii = (0.0, radius, radius if tip is None else tip, 0.0)
    places = (start, start, end, end)
    vertices = np.concatenate([place + ring * r for place, r in zip(places, radii, strict=True)])
    normals = np.concatenate([np.tile(-way, (10, 1)), ring, ring, np.tile(way, (10, 1))])
    return Shape(vertices, normals, _grid_faces(4, 10))


def ellipsoid(center: np.ndarray, half: np.ndarray) -> Shape:
    """A ball or an egg."""
    polar = np.linspace(0.0, np.pi, 8)[:, None]
    ball = np.stack(
        np.broadcast_arrays(np.sin(polar) * _CIRCLE[:, 0], -np.cos(polar),
                            -np.sin(polar) * _CIRCLE[:, 1]), axis=2,
    ).reshape(-1, 3)  # fmt: skip
    normals = ball / half
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Shape(center + ball * half, normals, _grid_faces(8, 10))


def merge(shapes: list[Shape]) -> Shape:
    """Several shapes as one."""
    starts = np.cumsum([0, *(len(shape.vertices) for shape in shapes)])
    return Shape(
        np.concatenate([shape.vertices for shape in shapes]),
        np.concatenate([shape.normals for shape in shapes]),
        np.concatenate([shape.faces + s for shape, s in zip(shapes, starts, strict=False)]),
    )


@dataclass(frozen=True)
class Gear:
    """A thing and what it moves with."""

    # ``'head'``, ``'chest'``, ``'pelvis'``, ``'l_hand'``, ``'r_hand'``, ``'l_foot'`` or
    # ``'r_foot'``
    part: str
    shape: Shape  # where it is at the rest pose
    color: np.ndarray  # (3,) RGB
    hangs: bool = False  # it only follows the part's place, and hangs down from there


def held_object(rng: np.random.Generator, side: str) -> Gear:
    """A stick, a racket, a bat, a ball, a bag, a cup, a book or a phone in one hand."""
    sign = 1.0 if side == 'l' else -1.0
    palm = np.array([sign * 0.75, 0.435, 0.015])
    color = random_color(rng, 0.9)
    kind = rng.choice(7, p=[0.24, 0.14, 0.10, 0.18, 0.16, 0.10, 0.08])
    way = np.array([sign * rng.normal(0, 0.35), rng.normal(0, 0.25), 1.0])
    way *= rng.choice([-1.0, 1.0]) / np.linalg.norm(way)
    if kind == 0:  # a pole, a club, an umbrella
        long, thick = rng.uniform(0.3, 1.3), rng.uniform(0.008, 0.02)
        shape = rod(palm - rng.uniform(0.05, 0.4) * way, palm + long * way, thick)
    elif kind == 1:
        head = palm + 0.45 * way
        half = np.array([0.12, 0.015, 0.15])
        shape = merge([rod(palm - 0.08 * way, palm + 0.34 * way, 0.016), ellipsoid(head, half)])
    elif kind == 2:  # a bat
        shape = rod(palm - 0.1 * way, palm + rng.uniform(0.5, 0.8) * way, 0.015, 0.035)
    elif kind == 3:
        radius = rng.choice([0.035, 0.06, 0.11, 0.12])
        shape = ellipsoid(palm - (0.0, radius, 0.0), np.full(3, radius))
    elif kind == 4:
        half = np.array([rng.uniform(0.04, 0.16), rng.uniform(0.08, 0.18), rng.uniform(0.05, 0.12)])
        drop = palm - (0.0, half[1] + rng.uniform(0.08, 0.25), 0.0)
        straps = rod(palm, drop + half * (0, 1, 0), 0.012)
        return Gear(f'{side}_hand', merge([straps, box(drop, half)]), color, hangs=True)
    elif kind == 5:
        shape = rod(palm - 0.04 * way, palm + rng.uniform(0.06, 0.2) * way, 0.035)
    else:
        half = np.array([rng.uniform(0.035, 0.11), 0.012, rng.uniform(0.06, 0.15)])
        shape = box(palm - (0.0, 0.02, 0.0), half)
    return Gear(f'{side}_hand', shape, color)


def backpack(rng: np.random.Generator) -> Gear:
    """A pack on the back, from a small one to a hiker's."""
    half = np.array([rng.uniform(0.11, 0.18), rng.uniform(0.14, 0.30), rng.uniform(0.05, 0.12)])
    center = np.array([0.0, 0.34 + rng.normal(0, 0.03), -0.15 - half[2]])
    shape = box(center, half) if rng.random() < 0.5 else ellipsoid(center, 1.25 * half)
    return Gear('chest', shape, random_color(rng, 0.9))


def hat_brim(rng: np.random.Generator, eyes: np.ndarray) -> Gear:
    """The brim of a hat, or the peak of a cap, above eyes at (3,) metres."""
    peak = rng.random() < 0.6
    reach = rng.uniform(0.06, 0.09) if peak else rng.uniform(0.15, 0.2)
    shift = np.array([0.0, rng.uniform(0.035, 0.055), 0.03 if peak else -0.085])
    half = np.array([0.075 if peak else reach, 0.006, reach])
    return Gear('head', ellipsoid(eyes + shift, half), random_color(rng, 0.8))


def chair(rng: np.random.Generator) -> Gear:
    """A seat under the hips, with or without a back and legs."""
    top, half = -0.125, np.array([rng.uniform(0.2, 0.45), rng.uniform(0.02, 0.12), 0.24])
    parts = [box(np.array([0.0, top - half[1], 0.06]), half)]
    if rng.random() < 0.7:
        parts.append(box(np.array([0.0, top + 0.22, -0.2]), np.array([half[0], 0.22, 0.025])))
    if rng.random() < 0.7:
        for x in (-0.9, 0.9):
            for z in (-0.14, 0.26):
                end = np.array([x * half[0], top - 0.45, z])
                parts.append(rod(end + 0.42 * np.eye(3)[1], end, 0.018))
    return Gear('pelvis', merge(parts), random_color(rng, 0.6))


def skis(rng: np.random.Generator) -> list[Gear]:
    """A ski under each foot."""
    color, long = random_color(rng, 0.9), rng.uniform(0.5, 0.95)
    return [
        Gear(f'{side}_foot', box(np.array([x, -0.965, 0.1]), np.array([0.045, 0.012, long])), color)
        for side, x in (('l', 0.143), ('r', -0.143))
    ]


def rigid_motion(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn (3, 3) and shift (3,) that best take (N, 3) points to others (Kabsch)."""
    first, second = start.mean(axis=0), end.mean(axis=0)
    u, _, vt = np.linalg.svd((start - first).T @ (end - second))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (u @ flip @ vt).T
    return turn, second - turn @ first
