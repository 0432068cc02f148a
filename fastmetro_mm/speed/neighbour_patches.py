# SPDX-License-Identifier: Apache-2.0
"""Patches of tokens that look at much the same, for attention under the decoder's mask.

In the decoder a vertex looks at all joints and at its neighbours: some 21 of 445 tokens. Dense
attention computes all pairs and throws nineteen twentieths of them away. Here vertices that lie
together form patches of a few queries; what any of them may look at is gathered once a patch, and
small dense products do the rest. The same numbers up to rounding, an eighth of the pairs.

(The mask is FastMETRO's; patches in its place are ours.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

PATCH = 16
"""Queries of a patch.

On the free body 8 make a fifth fewer pairs in twice as many products, 32 two thirds more pairs;
none but 16 was timed.
"""


@dataclass(frozen=True)
class Patches:
    """How tokens under one mask are cut. Rows of missing tokens are filled up with others.

    Attributes:
        joints: The first tokens, which look everywhere, and everybody looks at them.
        queries: Tokens of every patch, :data:`PATCH` each. (P, PATCH) int64
        keys: What they look at together, the joints first. (P, K) int64
        allowed: Which of them a query may look at. (P, PATCH, K) bool
        places: Where the other tokens are among the queries. (T - joints,) int64
    """

    joints: int
    queries: np.ndarray
    keys: np.ndarray
    allowed: np.ndarray
    places: np.ndarray

    @property
    def share(self) -> float:
        """Pairs that are computed, of those of dense attention."""
        return self.allowed.size / (self.joints + len(self.places)) ** 2


def patches_of(allowed: np.ndarray) -> Patches:
    """Cut tokens into patches.

    Args:
        allowed: Where a query may look. (T, T) bool

    Returns:
        The patches; those of the last masks are kept.
    """
    return _patches_of(np.ascontiguousarray(allowed, bool).tobytes(), len(allowed))


@lru_cache(8)
def _patches_of(content: bytes, size: int) -> Patches:
    allowed = np.frombuffer(content, bool).reshape(size, size)
    # joints: all of their row and of their column
    first = int(np.argmin(np.append(allowed.all(1) & allowed.all(0), False)))
    patches = mesh_patches(allowed[first:, first:], PATCH)
    widest = max((len(seen) for _, seen in patches), default=0)
    queries = np.zeros((len(patches), PATCH), np.int64)
    keys = np.zeros((len(patches), first + widest), np.int64)
    looks = np.zeros((len(patches), PATCH, first + widest), bool)
    places = np.zeros(size - first, np.int64)
    keys[:, :first] = np.arange(first)
    for number, (members, seen) in enumerate(patches):
        # missing ones are filled up with the first: computed, and never read
        queries[number] = first + np.array(members + members[:1] * (PATCH - len(members)))
        used = slice(first + len(seen))
        keys[number, first : first + len(seen)] = first + np.array(seen)
        looks[number, :, used] = allowed[np.ix_(queries[number], keys[number, used])]
        places[members] = number * PATCH + np.arange(len(members))
    return Patches(first, queries, keys, looks, places)


def mesh_patches(allowed: np.ndarray, size: int) -> list[tuple[list[int], list[int]]]:
    """Cut queries into patches that look at much the same.

    A patch grows from the query with the fewest free neighbours by the neighbour that brings the
    least that is new to look at.

    Args:
        allowed: Where a query may look. (N, N) bool
        size: Most queries of a patch.

    Returns:
        Queries and what they look at together, of every patch. Each query is in one patch.
    """
    sees = [frozenset(np.flatnonzero(row).tolist()) for row in allowed]
    free, patches = set(range(len(sees))), []
    while free:
        start = min(free, key=lambda query: (len(sees[query] & free), query))
        members, union = [start], set(sees[start])
        free.discard(start)
        while free and len(members) < size:
            nearest = min(
                (union & free) or free,
                key=lambda query: (len(sees[query] - union), len(sees[query] & free), query),
            )
            members.append(nearest)
            union |= sees[nearest]
            free.discard(nearest)
        patches.append((members, sorted(union)))
    return patches
