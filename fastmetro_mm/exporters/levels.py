# SPDX-License-Identifier: Apache-2.0
"""Levels of detail: the meshes of the network's coarser levels, vertices of the fine one."""

import functools
from dataclasses import dataclass

import numpy as np

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.errors import ExportError


@dataclass(frozen=True)
class MeshLevel:
    """One level of a body."""

    index: np.ndarray  # which vertices of the fine mesh it has. (V,)
    faces: np.ndarray  # triangles between these, counter-clockwise seen from outside. (F, 3)


def level_number(body: str, vertices: int) -> int:
    """Number of a level, 0 is the finest.

    Args:
        body: ``smpl``, ``open_body``, ``mano``, ``open_hand``.
        vertices: How many vertices it has.

    Raises:
        ExportError: The body has no such level.
    """
    counts = load_body_assets(body).num_vertices
    if vertices not in counts:
        raise ExportError(
            f'{body} has no level of {vertices} vertices: choose {" or ".join(map(str, counts))}'
        )
    return counts.index(vertices)


@functools.lru_cache(maxsize=16)
def mesh_level(body: str, number: int) -> MeshLevel:
    """A level of a body.

    Args:
        body: As for :func:`level_number`.
        number: Number of the level; past the coarsest one, the coarsest.
    """
    assets = load_body_assets(body)
    number = min(number, len(assets.num_vertices) - 1)
    index = np.arange(assets.num_vertices[0])
    for matrix in assets.down[:number]:
        index = index[np.asarray(matrix.argmax(axis=1)).ravel()]
    return MeshLevel(index, np.asarray(assets.faces[number]))
