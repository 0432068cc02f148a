# SPDX-License-Identifier: Apache-2.0
"""How steady the people of a video are, for its summary."""

from __future__ import annotations

import numpy as np

from fastmetro_mm.evaluation.functional.motion import acceleration, jitter
from fastmetro_mm.structures.results import FrameResult

_FRAMES = 4


class Steadiness:
    """Accelerations and jitter of tracked people, frame by frame.

    Joints are taken relative to the root, so that a moving camera and the guessed distance do not
    count. Only frames that follow one another count.
    """

    def __init__(self) -> None:
        self._last: dict[int, list[tuple[int, float, np.ndarray]]] = {}
        self._found: list[tuple[float, float]] = []

    def add(self, frame: FrameResult) -> None:
        """Take the people of the next frame that have a ``track_id`` and a place."""
        if frame.time is None:
            return
        for person in frame.bodies:
            if person.track_id is None or not person.is_placed:
                continue
            track = self._last.setdefault(person.track_id, [])
            if track and frame.frame_index != track[-1][0] + 1:
                track.clear()
            track.append((frame.frame_index, frame.time, np.array(person.joints_3d)))
            if len(track) < _FRAMES:
                continue
            spent = track[-1][1] - track[0][1]
            if spent > 0:
                joints, fps = np.stack([joints for _, _, joints in track]), (_FRAMES - 1) / spent
                self._found.append((acceleration(joints, fps)[-1], jitter(joints, fps)[-1]))
            del track[0]

    def text(self) -> str | None:
        """One line of medians; None where nobody was seen in four frames on end."""
        if not self._found:
            return None
        speed, unrest = np.median(self._found, axis=0)
        return (
            f'motion of joints (median): acceleration {speed:.1f} m/s^2, '
            f'jitter {unrest / 10:.0f} x 10 m/s^3'
        )
