# SPDX-License-Identifier: Apache-2.0
"""Loose triangles with a colour at each corner, and cutting them at the near plane."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass
class TriangleSoup:
    """Triangles that share nothing."""

    corners: np.ndarray  # camera frame, metres. (T, 3, 3)
    colors: np.ndarray  # RGB in 0..1 of each corner. (T, 3, 3)
    mesh_index: np.ndarray  # number of the mesh each triangle came from. (T,)

    @classmethod
    def concatenate(cls, parts: Sequence['TriangleSoup']) -> 'TriangleSoup':
        """Join soups, possibly none.

        Args:
            parts: Soups.

        Returns:
            One soup.
        """
        if not parts:
            return cls(np.zeros((0, 3, 3)), np.zeros((0, 3, 3)), np.zeros(0, dtype=np.int64))
        return cls(
            np.concatenate([part.corners for part in parts]),
            np.concatenate([part.colors for part in parts]),
            np.concatenate([part.mesh_index for part in parts]),
        )

    def select(self, which: np.ndarray) -> 'TriangleSoup':
        """Some of the triangles.

        Args:
            which: Mask or numbers of triangles.

        Returns:
            A soup of these.
        """
        return TriangleSoup(self.corners[which], self.colors[which], self.mesh_index[which])


def clip_near(soup: TriangleSoup, near: float) -> TriangleSoup:
    """Cut away everything nearer than a plane of constant depth.

    Args:
        soup: Triangles in the camera frame.
        near: Depth of the plane, metres.

    Returns:
        Triangles with ``z >= near``; one that crosses the plane becomes one or two.
    """
    inside = soup.corners[..., 2] >= near
    count = inside.sum(axis=1)
    if (count == 3).all():
        return soup
    parts = [soup.select(count == 3)]
    for kept in (1, 2):
        crossing = soup.select(count == kept)
        # Turn each triangle so that its odd corner (alone on its side) comes first.
        odd = np.argmax(inside[count == kept] == (kept == 1), axis=1)
        turn = (odd[:, None] + np.arange(3)) % 3
        rows = np.arange(len(turn))[:, None]
        values = np.concatenate([crossing.corners, crossing.colors], axis=2)[rows, turn]
        alone, second, third = values[:, 0], values[:, 1], values[:, 2]
        cut_second = _cut(alone, second, near)
        cut_third = _cut(alone, third, near)
        if kept == 1:
            pieces = [(alone, cut_second, cut_third)]
        else:
            pieces = [(cut_second, second, third), (cut_second, third, cut_third)]
        for piece in pieces:
            stacked = np.stack(piece, axis=1)  # (T, 3, 6)
            parts.append(TriangleSoup(stacked[..., :3], stacked[..., 3:], crossing.mesh_index))
    return TriangleSoup.concatenate(parts)


def _cut(start: np.ndarray, end: np.ndarray, near: float) -> np.ndarray:
    """Point where each edge meets the plane, its depth set exactly (T, 6)."""
    share = (near - start[:, 2]) / (end[:, 2] - start[:, 2])
    point = start + share[:, None] * (end - start)
    point[:, 2] = near
    return point
