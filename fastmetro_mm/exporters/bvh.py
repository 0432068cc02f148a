# SPDX-License-Identifier: Apache-2.0
"""A person as a moving skeleton in Biovision's BVH, which animation programs and games read.

BVH knows one frame rate, no start time and no units. Here lengths are centimetres, as most of its
readers expect, and the world is the camera's with y up, as in our GLB files. Joints are those of
SMPL; their frames are the body's own (y up, facing z), turned by Z, then X, then Y.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from fastmetro_mm.body.joint_sets import SMPL24, SMPL24_PARENTS
from fastmetro_mm.exporters.scene import axes_rotation, check_ending
from fastmetro_mm.exporters.smpl_tracks import SmplTrack, body_at_rest, check_motion, evenly
from fastmetro_mm.fileio import write_atomically

CENTIMETRES = 100.0
_TURNS = 'Zrotation Xrotation Yrotation'


def write_bvh(
    path: str | os.PathLike, track: SmplTrack, arrays: Mapping[str, np.ndarray], fps: float = 30.0
) -> Path:
    """Write one person: 24 joints, offsets of its body at rest, a row a frame.

    The first row is the first frame of the track, ``track.frames[0]``. A track whose times are
    not even (a video of variable frame rate) is interpolated to an even rate.

    Args:
        path: File to write, ending in ``.bvh``.
        track: From ``smpl_tracks``.
        arrays: Model arrays, from ``load_model_arrays``.
        fps: Frames a second; also of a single image, which is one row.

    Returns:
        The path.

    Raises:
        ExportError: Another ending, a frame rate that is not positive, a track that is not of 24
            joints, or values that are not finite.
        OSError: The file cannot be written.
    """
    path = check_ending(path, '.bvh')
    check_motion(track, fps)
    offsets, ends = _skeleton(arrays, track.betas)
    lines = ['HIERARCHY']
    order: list[int] = []
    _add_joint(lines, order, 0, offsets, ends)
    motion = _motion(track, offsets[0], order, fps)
    lines += [
        'MOTION',
        f'Frames: {len(motion)}',
        f'Frame Time: {1 / fps:.8f}',
        *(_row(values) for values in motion),
    ]
    return write_atomically(path, '\n'.join(lines).encode() + b'\n')


def _skeleton(
    arrays: Mapping[str, np.ndarray], betas: np.ndarray
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Metres from parent to joint, of the root from the origin (24, 3); from leaves to tips.

    The tip of toes, fingers and head is the vertex of that joint which is furthest from it.
    """
    vertices, joints = body_at_rest(arrays, betas)
    owner = np.asarray(arrays['weights']).argmax(axis=1)
    ends = {}
    for leaf in set(range(len(joints))) - set(SMPL24_PARENTS):
        around = vertices[owner == leaf] - joints[leaf]
        ends[leaf] = around[np.linalg.norm(around, axis=1).argmax()]
    offsets = joints.copy()
    offsets[1:] -= joints[list(SMPL24_PARENTS[1:])]
    return offsets, ends


def _add_joint(
    lines: list[str],
    order: list[int],
    joint: int,
    offsets: np.ndarray,
    ends: Mapping[int, np.ndarray],
    depth: int = 0,
) -> None:
    """Append a joint and all below it; ``order`` is that of the channels, depth first."""
    order.append(joint)
    # The root stands where its channels say: some readers add its offset to them, some do not.
    offset = offsets[joint] if joint else np.zeros(3)
    channels = f'3 {_TURNS}' if joint else f'6 Xposition Yposition Zposition {_TURNS}'
    margin = '  ' * depth
    lines += [
        f'{margin}{"JOINT" if joint else "ROOT"} {SMPL24[joint]}',
        margin + '{',
        f'{margin}  OFFSET {_row(CENTIMETRES * offset)}',
        f'{margin}  CHANNELS {channels}',
    ]
    for child, parent in enumerate(SMPL24_PARENTS):
        if parent == joint:
            _add_joint(lines, order, child, offsets, ends, depth + 1)
    if joint in ends:
        lines += [
            f'{margin}  End Site',
            margin + '  {',
            f'{margin}    OFFSET {_row(CENTIMETRES * ends[joint])}',
            margin + '  }',
        ]
    lines.append(margin + '}')


def _motion(track: SmplTrack, pelvis: np.ndarray, order: list[int], fps: float) -> np.ndarray:
    """Channels of every row: centimetres and degrees, (N, 3 + 24 * 3)."""
    rotmat, transl = evenly(track, fps)
    turn = axes_rotation('y_up')
    rotmat = rotmat[:, order]
    rotmat[:, 0] = turn @ rotmat[:, 0]
    # The root turns about the pelvis joint, which therefore only moves by ``transl``.
    positions = CENTIMETRES * (transl + pelvis) @ turn.T
    angles = _euler_zxy(rotmat.reshape(-1, 3, 3)).reshape(len(rotmat), -1)
    # Programs interpolate angles: a jump from 179 to -179 degrees would spin the limb.
    return np.concatenate([positions, np.unwrap(angles, axis=0, period=360)], axis=1)


def _euler_zxy(rotmat: np.ndarray) -> np.ndarray:
    """Degrees z, x, y (N, 3) with ``R = Rz Rx Ry``."""
    with warnings.catch_warnings():  # at x = 90 only z + y counts, and SciPy says that y is 0
        warnings.simplefilter('ignore', UserWarning)
        return Rotation.from_matrix(rotmat).as_euler('ZXY', degrees=True)


def _row(values: np.ndarray) -> str:
    return ' '.join(f'{value:.5f}' for value in values)
