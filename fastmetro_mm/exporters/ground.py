# SPDX-License-Identifier: Apache-2.0
"""A floor under the people of a fixed camera, and feet that stand still on it.

Neither the floor nor gravity is seen by the network. The floor is fitted to the lowest points of
everybody's feet; where people stay in one spot it is level with their bodies on average. What is
moved is told, for the floor is only as good as the people are placed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from fastmetro_mm.body.joint_sets import SMPL24, SMPL24_PARENTS
from fastmetro_mm.exporters.smpl_tracks import SmplTrack, body_at_rest

_FEET = tuple(SMPL24.index(name) for name in ('L_Foot', 'R_Foot', 'L_Ankle', 'R_Ankle'))
_SOLE_POINTS = 12  # of a joint: its lowest vertices
_UP = np.array([0.0, -1.0, 0.0])  # camera frame
_SLACK = 0.05  # metres: feet this far above the floor do not hold it up
_TRUST = 0.3  # metres: a floor is trusted once feet are spread further than this
_CONTACT_HEIGHT = 0.04  # metres above the floor
_CONTACT_SPEED = 0.6  # metres a second
_SHORTEST = 3  # frames of a contact


@dataclass(frozen=True)
class Floor:
    """Where the floor is: ``normal . point = height``, camera frame, metres."""

    normal: np.ndarray  # up, of length 1. (3,)
    height: float  # of the floor along it

    @property
    def tilt(self) -> float:
        """Angle between its normal and the camera's own up, degrees."""
        return float(np.degrees(np.arccos(np.clip(self.normal @ _UP, -1, 1))))


def joint_positions(track: SmplTrack, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Joints of the kinematic tree through the track, camera frame, metres (N, 24, 3)."""
    return _posed(track, arrays)[0]


def sole_positions(track: SmplTrack, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The points people stand on: 48 of the lowest of feet and ankles, (N, 4, 12, 3) metres.

    Args:
        track: The person.
        arrays: Model arrays, from ``load_model_arrays``.

    Returns:
        By joint (left foot, right foot, left ankle, right ankle), camera frame.
    """
    joints, turns, rest, vertices = _posed(track, arrays)
    owner = np.asarray(arrays['weights']).argmax(axis=1)
    soles = []
    for joint in _FEET:
        own = np.flatnonzero(owner == joint)
        lowest = own[np.argsort(vertices[own, 1])[:_SOLE_POINTS]]  # at rest y is up
        local = vertices[lowest] - rest[joint]
        soles.append(joints[:, None, joint] + local @ turns[:, joint].swapaxes(1, 2))
    return np.stack(soles, axis=1)


def find_floor(tracks: Sequence[SmplTrack], arrays: Mapping[str, np.ndarray]) -> Floor:
    """Fit one floor to everybody's feet.

    Args:
        tracks: The people, camera frame.
        arrays: Model arrays.
    """
    soles, bodies = [], []
    for track in tracks:
        soles.append(sole_positions(track, arrays).reshape(len(track.frames), -1, 3))
        joints = joint_positions(track, arrays)
        bodies.append(joints[:, SMPL24.index('Neck')] - joints[:, SMPL24.index('Pelvis')])
    prior = np.concatenate(bodies).sum(axis=0)
    prior /= max(np.linalg.norm(prior), 1e-9)
    if prior @ _UP < 0.5:  # lying people and handstands say nothing of gravity
        prior = _UP
    normal, height = prior, 0.0
    for _ in range(10):
        points = np.concatenate([_lowest(track, normal) for track in soles])
        above = points @ normal
        height = np.quantile(above, 0.2) if height == 0.0 else height
        near = above < height + _SLACK
        normal, height = _plane(points[near], prior)
    return Floor(normal, height)


def put_on_floor(
    tracks: Sequence[SmplTrack], arrays: Mapping[str, np.ndarray], lock_fps: float | None = None
) -> tuple[list[SmplTrack], list[str]]:
    """Find the floor and put everybody on it.

    Args:
        tracks: The people, camera frame.
        arrays: Model arrays, from ``load_model_arrays``.
        lock_fps: Frames a second, to let feet stand still as well; None for no foot lock.

    Returns:
        The tracks, see :func:`stand_on`, and lines that say what was moved.
    """
    tracks, notes = stand_on(tracks, find_floor(tracks, arrays), arrays)
    if lock_fps is not None:
        locked = [lock_feet(track, arrays, lock_fps) for track in tracks]
        tracks = [track for track, _ in locked]
        notes += [note for _, note in locked]
    return tracks, notes


def stand_on(
    tracks: Sequence[SmplTrack], floor: Floor, arrays: Mapping[str, np.ndarray]
) -> tuple[list[SmplTrack], list[str]]:
    """Turn the scene so that gravity is down and the floor at 0, and put everybody's feet on it.

    Args:
        tracks: The people, camera frame.
        floor: From :func:`find_floor`.
        arrays: Model arrays.

    Returns:
        The tracks in a frame whose y points down and is 0 on the floor (in ``y_up`` and ``z_up``
        the floor is at height 0), and a line a person that says what was moved.
    """
    turn = Rotation.align_vectors(_UP[None], floor.normal[None])[0].as_matrix()
    moved, notes = [], []
    for track in tracks:
        track = turned(track, turn, np.array([0.0, floor.height, 0.0]))
        soles = -sole_positions(track, arrays).reshape(len(track.frames), -1, 3)[..., 1].min(axis=1)
        lift = float(np.quantile(soles, 0.2))
        moved.append(replace(track, transl=track.transl + np.array([0.0, lift, 0.0])))
        notes.append(
            f'{track.name}: put on the floor: turned by {floor.tilt:.1f} degrees, moved '
            f'{"down" if lift > 0 else "up"} by {abs(lift) * 1000:.0f} mm'
        )
    return moved, notes


def lock_feet(
    track: SmplTrack, arrays: Mapping[str, np.ndarray], fps: float
) -> tuple[SmplTrack, str]:
    """Let feet that touch the floor stand still; the whole body moves with them.

    Args:
        track: A person of :func:`stand_on`.
        arrays: Model arrays.
        fps: Frames a second.

    Returns:
        The person, and a line that says what was moved.
    """
    soles = sole_positions(track, arrays)
    middle = soles[:, :2].mean(axis=2)  # left and right (N, 2, 3)
    contact = _contacts(soles, fps)
    wanted = np.full((len(middle), 2, 3), np.nan)
    for foot in range(2):
        for first, end in _runs(contact[:, foot]):
            anchor = np.median(middle[first:end, foot], axis=0)
            wanted[first:end, foot] = anchor - middle[first:end, foot]
    held = np.asarray(~np.isnan(wanted[..., 0]).all(axis=1))
    before = _sliding(middle, contact, fps)
    if not held.any():
        return track, f'{track.name}: no foot stands still, nothing was moved'
    with np.errstate(all='ignore'):
        total = np.where(np.isnan(wanted), 0, wanted).sum(axis=1)
        count = (~np.isnan(wanted[..., 0])).sum(axis=1)
    rows = np.flatnonzero(held)
    known = total[rows] / count[rows, None]
    known[:, 1] = 0  # the floor's height stays
    shift = np.stack(
        [np.interp(np.arange(len(middle)), rows, column) for column in known.T], axis=1
    )
    moved = replace(track, transl=track.transl + shift)
    after = _sliding(middle + shift[:, None], contact, fps)
    size = np.linalg.norm(shift, axis=1) * 1000
    return moved, (
        f'{track.name}: feet locked in {held.sum()} of {len(held)} frames: body moved by '
        f'{size.mean():.0f} mm on average, {size.max():.0f} mm at most; feet slid '
        f'{before * 1000:.0f} mm/s before, {after * 1000:.0f} mm/s after'
    )


def turned(track: SmplTrack, turn: np.ndarray, shift: np.ndarray) -> SmplTrack:
    """A person in a world that is turned (3, 3), then moved (3,)."""
    rotmat = track.rotmat.copy()
    rotmat[:, 0] = turn @ rotmat[:, 0]
    pelvis = (track.transl + track.rest_pelvis) @ turn.T + shift
    return replace(track, rotmat=rotmat, transl=pelvis - track.rest_pelvis)


def _posed(
    track: SmplTrack, arrays: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Joints (N, J, 3), their turns (N, J, 3, 3), joints (J, 3) and vertices (V, 3) at rest."""
    vertices, rest = body_at_rest(arrays, track.betas)
    turns = track.rotmat.astype(np.float64)
    joints = np.empty((len(turns), len(rest), 3))
    joints[:, 0] = track.transl + rest[0]
    for joint, parent in enumerate(SMPL24_PARENTS[1:], 1):
        turns[:, joint] = turns[:, parent] @ turns[:, joint]
        joints[:, joint] = joints[:, parent] + turns[:, parent] @ (rest[joint] - rest[parent])
    return joints, turns, rest, vertices


def _lowest(points: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Of every frame (N, P, 3) the lowest point (N, 3)."""
    return points[np.arange(len(points)), (points @ normal).argmin(axis=1)]


def _plane(points: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, float]:
    """Plane through points (P, 3) that is held to a direction where the points do not tell."""
    side = np.linalg.svd(prior[None])[2][1:]  # two directions across
    middle = points.mean(axis=0)
    across, along = (points - middle) @ side.T, (points - middle) @ prior
    hold = len(points) * _TRUST**2 * np.eye(2)
    slope = np.linalg.solve(across.T @ across + hold, across.T @ along)
    normal = prior - slope @ side
    normal /= np.linalg.norm(normal)
    return normal, float(np.median(points @ normal))


def _contacts(soles: np.ndarray, fps: float) -> np.ndarray:
    """Whether each foot stands, (N, 2)."""
    heights = -soles[..., 1]
    low = np.stack([heights[:, [foot, foot + 2]].min(axis=(1, 2)) for foot in range(2)], axis=1)
    middle = soles[:, :2].mean(axis=2)
    speed = np.zeros(low.shape)
    if len(soles) > 1:
        speed = np.linalg.norm(np.gradient(middle, axis=0), axis=-1) * fps
    standing: np.ndarray = np.logical_and(low < _CONTACT_HEIGHT, speed < _CONTACT_SPEED)
    for foot in range(2):
        for first, end in _runs(standing[:, foot]):
            if end - first < _SHORTEST:
                standing[first:end, foot] = False
    return standing


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _sliding(middle: np.ndarray, contact: np.ndarray, fps: float) -> float:
    """Mean horizontal speed of standing feet, metres a second."""
    both = contact[1:] & contact[:-1]
    if not both.any():
        return 0.0
    steps = np.diff(middle, axis=0)[..., [0, 2]]
    return float(np.linalg.norm(steps, axis=-1)[both].mean() * fps)
