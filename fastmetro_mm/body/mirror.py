# SPDX-License-Identifier: Apache-2.0
"""Which vertex of a mesh lies opposite which: left and right, found from the triangles alone."""

import functools
from collections import Counter

import numpy as np

from fastmetro_mm.body.assets import BodyAssets
from fastmetro_mm.errors import ConfigError


def mirrored_vertices(assets: BodyAssets) -> np.ndarray:
    """For every vertex of the full mesh the one on the other side.

    The mirror image of a right hand is a left hand with the same vertex numbers; a body is
    mapped onto itself.

    Args:
        assets: Body or hand.

    Returns:
        Permutation: ``mirrored = vertices[permutation] * (-1, 1, 1)``. (V,) int64

    Raises:
        ConfigError: If the body's mesh has no such symmetry.
    """
    if assets.joint_set == 'hand21':
        return np.arange(assets.num_vertices[0])
    found = _find_symmetry(assets.faces[0].tobytes(), assets.num_vertices[0])
    if found is None:
        raise ConfigError(
            f"the triangles of body '{assets.name}' have no left-right symmetry: "
            'its mesh cannot be mirrored'
        )
    return found.copy()


@functools.lru_cache(maxsize=4)
def _find_symmetry(faces: bytes, num_vertices: int) -> np.ndarray | None:
    """The one map of the mesh onto itself that turns every triangle over and is its own inverse."""
    apex = {}  # of the triangle to the left of a directed edge
    for triangle in np.frombuffer(faces, dtype=np.int64).reshape(-1, 3).tolist():
        for i in range(3):
            apex[triangle[i], triangle[(i + 1) % 3]] = triangle[(i + 2) % 3]
    degree = np.bincount(np.frombuffer(faces, dtype=np.int64), minlength=num_vertices).tolist()

    def signature(a: int, b: int) -> tuple[int, int, int]:
        return degree[a], degree[b], degree[apex[a, b]]

    # begin at an edge that looks like few others
    count = Counter(signature(*edge) for edge in apex)
    first = min(apex, key=lambda edge: (count[signature(*edge)], edge))
    wanted = signature(*first)
    for b, a in apex:  # turned over, the triangle left of `first` lies left of the reversed edge
        if (degree[a], degree[b], degree[apex[b, a]]) != wanted:
            continue
        image = _follow(apex, first, (a, b))
        if image is None or len(image) != num_vertices:
            continue
        permutation = np.array([image[i] for i in range(num_vertices)], dtype=np.int64)
        own_inverse = np.array_equal(permutation[permutation], np.arange(num_vertices))
        if own_inverse and np.any(permutation != np.arange(num_vertices)):
            return permutation
    return None


def _follow(apex: dict, edge: tuple[int, int], onto: tuple[int, int]) -> dict | None:
    """Walk over the mesh and its mirror image at once; None where they differ."""
    image = dict(zip(edge, onto, strict=True))
    waiting, seen = [edge], set()
    while waiting:
        a, b = waiting.pop()
        if (a, b) in seen:
            continue
        seen.add((a, b))
        there, opposite = apex.get((a, b)), apex.get((image[b], image[a]))
        if there is None and opposite is None:
            continue
        if there is None or opposite is None or image.setdefault(there, opposite) != opposite:
            return None
        waiting += [(b, there), (there, b), (there, a), (a, there), (b, a)]
    return image
