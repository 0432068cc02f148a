# SPDX-License-Identifier: Apache-2.0
"""Smoothing calms noise, follows motion, and keeps mesh, camera and keypoints consistent."""

from dataclasses import replace

import numpy as np
import pytest

from fastmetro_mm.apis.smoothing import MeshSmoother, OneEuroFilter
from fastmetro_mm.geometry.camera import PerspectiveCamera


def test_one_euro_keeps_constants_and_first_values():
    run = OneEuroFilter(30)
    assert all(run(np.full(3, 2.5)) == pytest.approx(2.5) for _ in range(5))


def test_one_euro_is_calm_at_rest_and_fast_in_motion():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, 300)
    run = OneEuroFilter(30, min_cutoff=1.0, beta=0.0)
    rest = np.array([run(value) for value in noise])
    assert rest[50:].std() < 0.45 * noise[50:].std()
    ramp = np.arange(120) / 30 * 2.0  # 2 units a second
    lags = []
    for beta in (0.0, 5.0):
        run = OneEuroFilter(30, beta=beta)
        lags.append(ramp[-1] - [run(value) for value in ramp][-1])
    assert lags[1] < 0.2 * lags[0]


def test_people_are_smoothed_by_track(three_people):
    frame = three_people[0]
    rng = np.random.default_rng(0)
    smoother = MeshSmoother(30, beta=0.0)
    rough, calm = [], []
    for index in range(40):
        people = []
        for number, person in enumerate(frame.people):
            noise = rng.normal(0, 0.01, 3).astype(np.float32)
            camera = person.pred_cam * (1 + rng.normal(0, 0.01, 3))
            people.append(
                replace(
                    person,
                    vertices=person.vertices + noise,
                    pred_cam=camera,
                    track_id=number if number else None,
                )
            )
        before = [person.pred_cam.copy() for person in people]
        result = smoother.update(replace(frame, frame_index=index, people=people))
        rough.append(before[1])
        calm.append(result.people[1].pred_cam)
        assert np.array_equal(result.people[0].pred_cam, before[0])  # no track: left alone
    rough, calm = np.array(rough)[10:], np.array(calm)[10:]
    assert (calm.std(axis=0) < 0.6 * rough.std(axis=0)).all()
    person = result.people[1]
    view = PerspectiveCamera(frame.intrinsics, *frame.image_size)
    root = person.image_camera(frame.image_size).project(np.zeros((1, 3)))
    assert np.abs(view.project(person.translation) - root).max() < 1e-3
    assert (
        np.abs(
            person.image_camera(frame.image_size).project(person.joints_3d) - person.keypoints
        ).max()
        < 1e-2
    )


def test_people_who_were_away_start_anew(three_people):
    frame = three_people[0]
    smoother = MeshSmoother(30, forget_after=5)
    still = replace(frame.people[0], track_id=1)
    moved = replace(still, vertices=still.vertices + 1)
    smoother.update(replace(frame, frame_index=0, people=[replace(still)]))
    found = smoother.update(replace(frame, frame_index=9, people=[replace(moved)]))
    assert found.people[0].vertices == pytest.approx(moved.vertices)


def test_speed_is_that_of_the_clock_not_of_the_frame_number():
    """A steady motion is seen at the same speed however many frames were missed."""
    for gaps in ([1] * 60, [1, 2, 5, 1, 3] * 12):
        steady, moment = OneEuroFilter(30), 0.0
        steady(np.zeros(1))
        for gap in gaps:
            moment += gap / 30
            steady(np.array([0.9 * moment]), gap / 30)
        assert float(steady._speed[0]) == pytest.approx(0.9, rel=0.05)


def test_frames_tell_their_times(three_people):
    """Frames half as far apart in time are smoothed as by a filter of twice the rate."""
    frame = three_people[0]

    def run(fps, times):
        smoother = MeshSmoother(fps)
        for number, moment in enumerate(times):
            person = replace(
                frame.people[0], track_id=1, vertices=frame.people[0].vertices + 0.1 * number
            )
            found = smoother.update(
                replace(frame, frame_index=number, time=moment, people=[person])
            )
        return found.people[0].vertices

    assert np.allclose(run(25, [0, 0.02, 0.04]), run(50, [None] * 3), atol=1e-6)
    assert not np.allclose(run(25, [0, 0.02, 0.04]), run(25, [None] * 3), atol=1e-4)
