# SPDX-License-Identifier: Apache-2.0
"""The checkpoints that the authors of FastMETRO released, by file name.

They may not be passed on (trained on research data) and lie behind links of a file host, so nothing
here downloads: it knows where they come from, where they go and which config they belong to.
"""

import os
from dataclasses import dataclass
from pathlib import Path

SOURCE = 'https://github.com/postech-ami/FastMETRO, docs/Download.md'
FOLDER = Path('data/checkpoints')
"""Where the configs look for them (``load_from``), from the working directory."""


@dataclass(frozen=True)
class ReleasedFile:
    """A released checkpoint."""

    name: str  # file name as released
    config: str  # shipped config that it belongs to
    scores: str  # published numbers of these weights, in mm

    @property
    def path(self) -> Path:
        """Where it goes."""
        return FOLDER / self.name

    @property
    def advice(self) -> str:
        """One line: where it comes from and where it goes."""
        return (
            f'download {self.name} ({SOURCE}) and put it at {self.path}, for config {self.config}'
        )


RELEASED = (
    ReleasedFile(
        'FastMETRO-L-H64_h36m_state_dict.bin',
        'fastmetro_l_h64_h36m',
        'Human3.6M P2: MPJPE 52.96, PA-MPJPE 33.58',
    ),
    ReleasedFile(
        'FastMETRO-S-R50_h36m_state_dict.bin', 'fastmetro_s_r50_h36m', 'Human3.6M P2: PA-MPJPE 38.8'
    ),
    ReleasedFile(
        'FastMETRO-L-H64_3dpw_state_dict.bin',
        'fastmetro_l_h64_3dpw',
        '3DPW: MPVPE 82.95, MPJPE 73.54, PA-MPJPE 44.58',
    ),
    ReleasedFile(
        'FastMETRO-S-R50_3dpw_state_dict.bin', 'fastmetro_s_r50_3dpw', '3DPW: PA-MPJPE 49.1'
    ),
    ReleasedFile(
        'FastMETRO-L-H64_smpl_h36m_state_dict.bin',
        'fastmetro_smpl_l_h64_h36m',
        'Human3.6M P2, SMPL head: PA-MPJPE 36.1',
    ),
    ReleasedFile(
        'FastMETRO-L-H64_smpl_3dpw_state_dict.bin',
        'fastmetro_smpl_l_h64_3dpw',
        '3DPW, SMPL head: PA-MPJPE 51.0',
    ),
    ReleasedFile(
        'FastMETRO-L-H64_freihand_state_dict.bin',
        'fastmetro_l_h64_freihand',
        'FreiHAND: PA keypoints 6.5, PA mesh 7.1, F@5 0.687, F@15 0.983',
    ),
)


def find_released(name: str | os.PathLike) -> ReleasedFile | None:
    """The released file that a path, a file name or a config name stands for, or None."""
    last = Path(name).name
    for released in RELEASED:
        if last in (released.name, released.name.removesuffix('_state_dict.bin'), released.config):
            return released
    return None
