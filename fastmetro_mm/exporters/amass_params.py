# SPDX-License-Identifier: Apache-2.0
"""Motion files in the layout of AMASS's SMPL-X release, which retargeting and add-ons read.

Readers and what they ask for (their documents and loaders, looked up in November 2026):

* Meshcapade's Blender add-on: ``poses`` of 55 (SMPL-X) or 52 (SMPL-H) joints, ``trans``,
  ``betas``, ``gender`` and ``mocap_frame_rate`` or ``mocap_framerate``; z up is its format
  "Blender (Z-up)".
* GMR (robots): ``pose_body`` of 21 joints, ``root_orient``, ``trans``, ``betas`` (16),
  ``gender`` and ``mocap_frame_rate``, a number with ``.item()``; z up.
* PBHC (robots): ``poses`` of which it takes the first 22 joints, ``trans``, ``betas``,
  ``gender`` and ``mocap_framerate``; z up.

One file serves all three. They know one frame rate and no gaps. Hands and face, which our bodies
do not have, are at rest, and so is the shape: SMPL's ``betas`` mean nothing to SMPL-X. They are
kept as ``smpl_betas``.
"""

import os
from pathlib import Path

import numpy as np

from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.scene import axes_rotation
from fastmetro_mm.exporters.smpl_params import GENDERS, write_arrays
from fastmetro_mm.exporters.smpl_tracks import SmplTrack, axis_angles, check_motion, evenly

_BODY_JOINTS = 22  # of SMPL, SMPL-H and SMPL-X alike: pelvis to wrists
_ALL_JOINTS = 55  # SMPL-X
_NUM_BETAS = 16


def amass_parameters(
    track: SmplTrack, fps: float = 30.0, gender: str = 'neutral'
) -> dict[str, np.ndarray]:
    """Motion of one person, z up, at an even rate.

    Args:
        track: The person.
        fps: Frames a second.
        gender: Gender of the body that readers load.

    Returns:
        ``poses (N, 165)``, ``root_orient (N, 3)``, ``pose_body (N, 63)`` axis-angle, radians;
        ``trans (N, 3)`` metres, z up; ``betas (16,)`` zeros; ``gender``; ``mocap_frame_rate`` and
        ``mocap_framerate``; and for those who know where it comes from ``smpl_betas (10,)``,
        ``frame_indices (N,)`` (the frame of the video nearest to each row), ``filled`` (how many
        frames of the video were interpolated) and ``axes``.

    Raises:
        ExportError: Unknown gender, a frame rate that is not positive, or other joints than
            SMPL's.
    """
    if gender not in GENDERS:
        raise ExportError(f'unknown gender {gender!r}: use {", ".join(GENDERS)}')
    check_motion(track, fps)
    turn = axes_rotation('z_up')
    rotmat, transl = evenly(track, fps)
    rotmat[:, 0] = turn @ rotmat[:, 0]
    body = axis_angles(rotmat[:, :_BODY_JOINTS]).reshape(len(rotmat), -1).astype(np.float32)
    poses = np.zeros((len(body), 3 * _ALL_JOINTS), np.float32)
    poses[:, : body.shape[1]] = body
    trans = (transl + track.rest_pelvis) @ turn.T - track.rest_pelvis
    row = np.linspace(0, len(track.frames) - 1, len(body))
    if track.times is not None:
        row = np.interp(
            track.times[0] + np.arange(len(body)) / fps, track.times, np.arange(len(track.frames))
        )
    rate = np.array(float(fps))
    return dict(
        poses=poses,
        root_orient=body[:, :3],
        pose_body=body[:, 3:],
        trans=trans.astype(np.float32),
        betas=np.zeros(_NUM_BETAS, np.float32),
        gender=np.array(gender),
        mocap_frame_rate=rate,
        mocap_framerate=rate,
        smpl_betas=track.betas.astype(np.float32),
        frame_indices=track.frames[np.rint(row).astype(int)],
        filled=np.array(track.filled),
        axes=np.array('z_up'),
    )


def write_amass(
    path: str | os.PathLike, track: SmplTrack, fps: float = 30.0, gender: str = 'neutral'
) -> Path:
    """Write :func:`amass_parameters` of one person.

    Args:
        path: File to write, ending in ``.npz``.
        track: The person.
        fps: Frames a second.
        gender: Gender of the body that readers load.

    Raises:
        ExportError: A wrong argument or ending.
        OSError: The file cannot be written.
    """
    return write_arrays(path, amass_parameters(track, fps, gender))
