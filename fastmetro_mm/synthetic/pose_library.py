# SPDX-License-Identifier: Apache-2.0
"""Poses of real motions that are free for any use; ``projects/free_model`` builds the file."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

LIBRARY_FILE = Path(__file__).parent / 'assets' / 'pose_library.npz'


@dataclass(frozen=True)
class PoseLibrary:
    """Poses that differ visibly from one another."""

    poses: np.ndarray  # (N, 24, 3) axis-angle, radians; the root stands upright and faces z
    source: np.ndarray  # (N,) row of ``names``
    names: tuple[str, ...]  # names of the motions
    provenance: str  # where the motions come from, and their licences


@lru_cache(maxsize=1)
def load_pose_library() -> PoseLibrary:
    """Reads the library that comes with the package."""
    with np.load(LIBRARY_FILE, allow_pickle=False) as data:
        return PoseLibrary(
            data['poses'].astype(np.float64),
            data['source'],
            tuple(str(name) for name in data['names']),
            str(data['provenance']),
        )
