# SPDX-License-Identifier: Apache-2.0
"""What tells a result of this package from a user's own file.

Results are never taken for inputs, and never put in the place of anything else.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from fastmetro_mm.images.jpeg import comment

MARK = 'made by fastmetro_mm'
"""Stands in comments and metadata of the files that have room for them."""

_BVH_START = (
    b'HIERARCHY\nROOT Pelvis\n{\n  OFFSET 0.00000 0.00000 0.00000\n  CHANNELS 6 '
    b'Xposition Yposition Zposition Zrotation Xrotation Yrotation\n  JOINT L_Hip\n  {\n'
)
"""BVH has no place for a mark; other programs indent and round in other ways."""

_START = 4096  # bytes that hold the mark of every text format
_NPZ_MEMBERS = (
    {'format.npy', 'image_path.npy', 'crop_to_image.npy'},  # frames
    {'format.npy', 'names.npy', 'vertices_0.npy'},  # meshes
    {'body.npy', 'joint_names.npy', 'faces.npy'},  # what an exported graph needs
    {'mocap_framerate.npy', 'frame_indices.npy', 'axes.npy'},
)  # SMPL parameters


def is_result(path: str | os.PathLike) -> bool:
    """Whether an existing file was written by this package.

    Args:
        path: Any file.

    Returns:
        False also where it cannot be read.
    """
    path = Path(path)
    try:
        if not path.is_file():
            return False
        if path.suffix.lower() == '.npz':
            with zipfile.ZipFile(path) as file:
                names = set(file.namelist())
            return any(members <= names for members in _NPZ_MEMBERS)
        with open(path, 'rb') as file:
            start = file.read(_START)
            if path.suffix.lower() == '.mp4':  # its metadata stand at the end, unless moved
                file.seek(max(0, path.stat().st_size - 64 * _START))
                return MARK.encode() in start + file.read()
        if path.suffix.lower() in ('.jpg', '.jpeg'):
            return comment(start) == MARK
        if path.suffix.lower() == '.bvh':
            return start.startswith(_BVH_START)
        if path.suffix.lower() in ('.json', '.jsonl'):
            return b'"fastmetro_mm.' in start
        return MARK.encode() in start
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
