# SPDX-License-Identifier: Apache-2.0
"""The motion line of a video's summary."""

from types import SimpleNamespace

import numpy as np

from fastmetro_mm.apis.steadiness import Steadiness


def frame(index: int, height: float, track_id: int | None = 1) -> SimpleNamespace:
    person = SimpleNamespace(
        track_id=track_id, is_placed=True, joints_3d=np.full((14, 3), [0, height, 0])
    )
    return SimpleNamespace(frame_index=index, time=index / 10, bodies=[person])


def test_medians_over_people_who_are_seen_on_end():
    steady = Steadiness()
    for index in range(6):
        steady.add(frame(index, 0.5 * 9.8 * (index / 10) ** 2))
    assert steady.text() == (
        'motion of joints (median): acceleration 9.8 m/s^2, jitter 0 x 10 m/s^3'
    )


def test_gaps_and_unnumbered_people_do_not_count():
    steady = Steadiness()
    for index in (0, 1, 2, 4, 5, 6):
        steady.add(frame(index, float(index % 2)))
    for index in range(7, 12):
        steady.add(frame(index, 0.0, track_id=None))
    assert steady.text() is None
