# SPDX-License-Identifier: Apache-2.0
"""People through time as SMPL parameters, in the form that body models take.

The network gives a mesh whose origin is the pelvis of the H36M regressor, and rotations and shape
of the SMPL head. A body model is placed by adding ``transl`` to all of its vertices. The two meet
at the pelvis: ``transl = translation - pelvis(model(pose, betas))``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp

from fastmetro_mm.body.mesh_body import MeshBody, build_body
from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.scene import check_fps
from fastmetro_mm.geometry.rotation import rotmat_to_axis_angle
from fastmetro_mm.structures.results import FrameResult, PersonMesh

_CHUNK = 64
_EARLY = 0.25  # of a frame: smaller differences of time are rounding of the container


@dataclass
class SmplTrack:
    """One person through a video, one row a frame, camera frame."""

    name: str  # name of the person
    number: int  # track id, or place in the image; chooses the colour
    frames: np.ndarray  # frame numbers, rising by one. (N,)
    rotmat: np.ndarray  # rotations, the global orientation first. (N, 24, 3, 3)
    betas: np.ndarray  # shape, the mean over the frames: a person does not change. (10,)
    transl: np.ndarray  # metres, added to the vertices of the body model. (N, 3)
    # pelvis joint of the body model in its rest pose with these betas, metres; the point that the
    # global orientation turns about. (3,)
    rest_pelvis: np.ndarray
    times: np.ndarray | None = None  # seconds in the video where its frames tell them. (N,)
    # frames of these in which the person was seen; the others were filled in. None: all of them.
    # (N,) bool
    seen: np.ndarray | None = None

    @property
    def filled(self) -> int:
        """How many frames were filled in."""
        return 0 if self.seen is None else int((~self.seen).sum())

    def filled_note(self) -> str | None:
        """One line for the user where frames were filled in."""
        if not self.filled:
            return None
        return (
            f'{self.name}: interpolated where the person was not seen '
            f'({self.filled} of {len(self.frames)} frames)'
        )


def smpl_tracks(
    frames: Sequence[FrameResult], body_data_root: str | None = None
) -> list[SmplTrack]:
    """Collect the people of an image or a video by track.

    Without track ids the place in the list of a single image tells people apart. Frames in
    which a track is missing between two others are filled in: rotations along the shortest arc,
    positions along a line.

    Args:
        frames: Results, in order.
        body_data_root: Folder with the SMPL model file; not needed for the open body.

    Returns:
        Tracks by number. People without a place in the scene are left out.

    Raises:
        ExportError: No people, no SMPL parameters, several frames without track ids, a track
            twice in a frame, or a hand.
        FileNotFoundError: The model file is missing; the message names it.
    """
    sightings = _sightings(frames)
    body = build_body(dict(name=frames[0].body, body_data_root=body_data_root))
    body.require_model()
    known = [(frame.frame_index, frame.time) for frame in frames if frame.time is not None]
    clock = np.array(known).T if len(known) == len(frames) else None
    tracks = []
    for number, seen in sorted(sightings.items()):
        index = np.array([frame for frame, _ in seen])
        people = [person for _, person in seen]
        poses: Any = [(p.global_orient, p.body_pose, p.betas) for p in people]
        rotmat = np.stack([np.concatenate([root[None], body_pose]) for root, body_pose, _ in poses])
        betas = np.mean([shape for _, _, shape in poses], axis=0)
        translation = np.stack([person.translation for person in people])
        pelvis, rest = _pelvis(body, rotmat, betas)
        rows, rotmat, transl = fill_gaps(index, rotmat, translation - pelvis)
        name = f'track_{number}' if people[0].track_id is not None else f'person_{number}'
        times = np.interp(rows, clock[0], clock[1]) if clock is not None else None
        seen_rows = np.isin(rows, index)
        tracks.append(SmplTrack(name, number, rows, rotmat, betas, transl, rest, times, seen_rows))
    return tracks


def check_motion(track: SmplTrack, fps: float) -> None:
    """Refuse what a motion file cannot hold.

    Args:
        track: The person.
        fps: Frames a second.

    Raises:
        ExportError: A frame rate that is not positive, other joints than SMPL's, or values that
            are not finite.
    """
    check_fps(fps)
    if track.rotmat.shape[1:] != (24, 3, 3):
        raise ExportError(
            f'{track.name}: rotations are {track.rotmat.shape}, expected (N, 24, 3, 3): motion '
            'files are made for SMPL bodies'
        )
    if not all(np.isfinite(part).all() for part in (track.rotmat, track.transl, track.betas)):
        raise ExportError(
            f'{track.name}: rotations, positions or betas are not finite: leave '
            'the frames out in which they are not'
        )


def fill_gaps(
    frames: np.ndarray, rotmat: np.ndarray, transl: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give a row to every frame between the first and the last.

    Args:
        frames: Rising frame numbers. (N,)
        rotmat: Rotations. (N, J, 3, 3)
        transl: Positions, metres. (N, 3)

    Returns:
        The same for all frames ``frames[0] .. frames[-1]``.
    """
    wanted = np.arange(frames[0], frames[-1] + 1)
    if len(wanted) == len(frames):
        return wanted, rotmat, transl
    return wanted, _turned(frames, rotmat, wanted), _moved(frames, transl, wanted)


def evenly(track: SmplTrack, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and positions at an even rate, for formats that know nothing else.

    Args:
        track: The person.
        fps: Frames a second.

    Returns:
        Rotations (M, J, 3, 3) and positions (M, 3), metres, from the first frame of the track on;
        interpolated where the times of its frames are not even.
    """
    rotmat, transl = track.rotmat.astype(np.float64), track.transl.astype(np.float64)
    if track.times is None:
        return rotmat, transl
    clock = (track.times - track.times[0]) * fps  # in frames
    if np.abs(clock - np.arange(len(clock))).max() <= _EARLY:
        return rotmat, transl
    clock, known = np.unique(clock, return_index=True)
    rotmat, transl = rotmat[known], transl[known]
    wanted = np.minimum(np.arange(round(clock[-1]) + 1), clock[-1])
    return _turned(clock, rotmat, wanted), _moved(clock, transl, wanted)


def body_at_rest(
    arrays: Mapping[str, np.ndarray], betas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and joints (J, 3) of a shape at rest, metres, by model arrays."""
    vertices = np.asarray(arrays['v_template'], np.float64)
    vertices = vertices + np.asarray(arrays['shapedirs'], np.float64) @ betas
    return vertices, np.asarray(arrays['J_regressor'], np.float64) @ vertices


def axis_angles(rotmat: np.ndarray) -> np.ndarray:
    """Axis-angle vectors (..., 3), radians, of rotation matrices (..., 3, 3)."""
    return rotmat_to_axis_angle(torch.from_numpy(np.asarray(rotmat, np.float64))).numpy()


def _turned(clock: np.ndarray, rotmat: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rotations (N, J, 3, 3) at other times, along the shortest arc."""
    curves = [Slerp(clock, Rotation.from_matrix(joint)) for joint in rotmat.swapaxes(0, 1)]
    return np.stack([curve(wanted).as_matrix() for curve in curves], axis=1)


def _moved(clock: np.ndarray, transl: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Positions (N, 3) at other times, along lines."""
    return np.stack([np.interp(wanted, clock, column) for column in transl.T], axis=1)


def _sightings(frames: Sequence[FrameResult]) -> dict[int, list[tuple[int, PersonMesh]]]:
    found: dict[int, list[tuple[int, PersonMesh]]] = {}
    for frame in frames:
        for place, person in enumerate(frame.bodies):
            if not person.is_placed:
                continue
            if person.is_right is not None:
                raise ExportError(
                    'SMPL parameters and rigs are for bodies, these results are '
                    'hands: export meshes instead'
                )
            if person.global_orient is None or person.body_pose is None or person.betas is None:
                raise ExportError(
                    'these results have no SMPL parameters, and a rig needs them: use '
                    'open_body (the shipped network) or a config with smpl_head '
                    '(fastmetro_smpl_*), or export meshes frame by frame'
                )
            if person.track_id is None and len(frames) > 1:
                raise ExportError(
                    f'frame {frame.frame_index} has people without track id: run the video with '
                    'tracking, or export single frames'
                )
            number = place if person.track_id is None else person.track_id
            seen = found.setdefault(number, [])
            if seen and seen[-1][0] >= frame.frame_index:
                raise ExportError(
                    f'track {number} comes twice at frame {frame.frame_index} or '
                    'frames are not in order: give every frame once, in order'
                )
            seen.append((frame.frame_index, person))
    if not found:
        count = sum(len(frame.bodies) for frame in frames)
        raise ExportError(
            'nothing to export: there are no bodies in these results'
            if not count
            else f'nothing to export: none of {count} bodies has a place in the scene, the network '
            'gives cameras without meaning, as untrained networks do'
        )
    return found


def _pelvis(body: MeshBody, rotmat: np.ndarray, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """H36M pelvis of the posed model (N, 3), and its pelvis joint at rest (3,)."""
    pelvis = []
    shape = torch.from_numpy(np.asarray(betas, np.float32))
    with torch.no_grad():
        for start in range(0, len(rotmat), _CHUNK):
            pose = torch.from_numpy(np.asarray(rotmat[start : start + _CHUNK], np.float32))
            vertices = body.pose(pose, shape.expand(len(pose), -1)).vertices
            pelvis.append(body.score_origin(vertices)[:, 0].numpy())
        eye = torch.eye(3).expand(1, rotmat.shape[1], 3, 3)
        rest = body.pose(eye, shape[None]).joints[0, 0].double().numpy()
    return np.concatenate(pelvis), rest
