# SPDX-License-Identifier: Apache-2.0
"""SMPL parameter files in the layout of AMASS, which smplx and Blender add-ons read."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.scene import axes_rotation, check_ending, check_fps
from fastmetro_mm.exporters.smpl_tracks import SmplTrack, axis_angles
from fastmetro_mm.fileio import write_atomically

GENDERS = ('neutral', 'male', 'female')


def smpl_parameters(
    track: SmplTrack, fps: float = 30.0, gender: str = 'neutral', axes: str = 'camera'
) -> dict[str, np.ndarray]:
    """Parameters of one person.

    Turning the world by A turns the global orientation to ``A R``; the model turns about its
    pelvis joint p and not about the origin, hence ``trans' = A (trans + p) - p``.

    Args:
        track: The person.
        fps: Frames a second; 30 for a single image too, some readers want a number.
        gender: Gender of the body model that was used.
        axes: A key of ``scene.AXES``; ``'z_up'`` as in AMASS, ``'camera'`` overlays the image.

    Returns:
        ``poses (N, 72)`` axis-angle, radians, the global orientation first; ``betas (10,)``;
        ``trans (N, 3)`` metres; ``gender``; ``mocap_framerate``; and under the names of smplx
        ``global_orient (N, 3) body_pose (N, 69) transl (N, 3)``; ``frame_indices (N,)``, ``axes``;
        ``seen (N,)``, False where the person was not seen and the row is interpolated; and where
        the frames tell it ``times (N,)`` seconds, for videos of variable frame rate.

    Raises:
        ExportError: Unknown gender or axes, or a frame rate that is not positive.
    """
    if gender not in GENDERS:
        raise ExportError(f'unknown gender {gender!r}: use {", ".join(GENDERS)}')
    check_fps(fps)
    turn = axes_rotation(axes)
    rotmat = track.rotmat.astype(np.float64)
    rotmat[:, 0] = turn @ rotmat[:, 0]
    poses = axis_angles(rotmat).reshape(len(rotmat), -1).astype(np.float32)
    trans = ((track.transl + track.rest_pelvis) @ turn.T - track.rest_pelvis).astype(np.float32)
    times = {} if track.times is None else {'times': track.times}
    return dict(
        poses=poses,
        betas=track.betas.astype(np.float32),
        trans=trans,
        gender=np.array(gender),
        mocap_framerate=np.array(float(fps)),
        global_orient=poses[:, :3],
        body_pose=poses[:, 3:],
        transl=trans,
        frame_indices=track.frames,
        axes=np.array(axes),
        seen=np.ones(len(poses), bool) if track.seen is None else track.seen,
        **times,
    )


def write_smpl_params(
    path: str | os.PathLike,
    track: SmplTrack,
    fps: float = 30.0,
    gender: str = 'neutral',
    axes: str = 'camera',
) -> Path:
    """Write :func:`smpl_parameters` of one person.

    Args:
        path: File to write, ending in ``.npz``.
        track: The person.
        fps: Frames a second.
        gender: Gender of the body model.
        axes: A key of ``scene.AXES``.

    Raises:
        ExportError: A wrong argument or ending.
        OSError: The file cannot be written.
    """
    return write_arrays(path, smpl_parameters(track, fps, gender, axes))


def write_arrays(path: str | os.PathLike, arrays: dict[str, Any]) -> Path:
    """Write an npz file.

    Raises:
        OSError: The file cannot be written.
    """
    return write_atomically(check_ending(path, '.npz'), lambda name: np.savez(name, **arrays))
