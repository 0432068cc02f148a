# SPDX-License-Identifier: Apache-2.0
"""How results are exported, whatever the format."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportOptions:
    """What a user may ask of exported files.

    Args:
        lod: Vertices of the meshes of OBJ, PLY, GLB, rigs, pages and recordings (bodies 6890, 1723
            or 431; hands 778 or 195); None for all.
        floor: Motion files: turn the scene so that gravity is down, and put people on one floor.
            For cameras that do not move.
        foot_lock: Motion files: let feet that touch the floor stand still; needs ``floor``.
    """

    lod: int | None = None
    floor: bool = False
    foot_lock: bool = False
