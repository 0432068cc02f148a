# SPDX-License-Identifier: Apache-2.0
"""The floor of a scene that was built on one, and feet that are made to stand still."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fastmetro_mm.apis import motion_files
from fastmetro_mm.apis.export_options import ExportOptions
from fastmetro_mm.apis.saving import ResultSaver
from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.errors import InputError
from fastmetro_mm.exporters.ground import (
    find_floor,
    joint_positions,
    lock_feet,
    put_on_floor,
    sole_positions,
    stand_on,
)
from fastmetro_mm.exporters.smpl_tracks import SmplTrack

FPS = 25
TILT = Rotation.from_euler('x', 14, degrees=True).as_matrix()  # the camera looks down
HEIGHT = 1.5  # metres: of the camera above the floor


@pytest.fixture(scope='module')
def arrays():
    return load_model_arrays('open_body')


def person(arrays, number: int, places: np.ndarray, lift: float = 0.0) -> SmplTrack:
    """Somebody who stands upright at places x, z (N, 2) of the floor, seen by the camera."""
    count = len(places)
    rotmat = np.tile(np.eye(3), (count, 24, 1, 1))
    rotmat[:, 0] = np.diag([1.0, -1, -1])  # y of the body's file is up, of the camera down
    template = np.asarray(arrays['v_template'], np.float64)
    rest = (np.asarray(arrays['J_regressor']) @ template)[0]
    standing = SmplTrack(
        f'track_{number}', number, np.arange(count), rotmat, np.zeros(10),
        np.zeros((count, 3)), rest,
    )  # fmt: skip
    lowest = sole_positions(standing, arrays)[0, ..., 1].max()
    world = np.stack([places[:, 0], np.full(count, -lowest - lift), places[:, 1]], axis=1)
    world[:, 1] += HEIGHT  # y points down, the camera is the origin
    pelvis = (world + rest) @ TILT.T
    rotmat[:, 0] = TILT @ rotmat[:, 0]
    return replace(standing, rotmat=rotmat, transl=pelvis - rest)


@pytest.fixture(scope='module')
def walkers(arrays):
    """Three people who cross a room; the third one floats by 12 cm."""
    steps = np.linspace(0, 3, 30)[:, None]
    return [
        person(arrays, 1, np.hstack([steps - 1.5, np.full_like(steps, 4.0)])),
        person(arrays, 2, np.hstack([np.full_like(steps, 1.0), 3 + steps])),
        person(arrays, 3, np.hstack([1 - steps, 6 - steps]), lift=0.12),
    ]


def test_the_floor_is_found(walkers, arrays):
    floor = find_floor(walkers[:2], arrays)
    true = TILT @ [0, -1, 0]
    assert np.degrees(np.arccos(floor.normal @ true)) < 1
    assert floor.height == pytest.approx(-HEIGHT, abs=0.01)
    assert floor.tilt == pytest.approx(14, abs=1)


def test_somebody_in_one_spot_stands_upright(arrays):
    still = person(arrays, 1, np.tile([[0.3, 4.0]], (20, 1)))
    floor = find_floor([still], arrays)
    assert np.degrees(np.arccos(floor.normal @ (TILT @ [0, -1, 0]))) < 4  # leans by its spine


def test_everybody_is_put_on_it_and_told(walkers, arrays):
    moved, notes = stand_on(walkers, find_floor(walkers, arrays), arrays)
    for track in moved:
        heights = -sole_positions(track, arrays)[..., 1].min(axis=(1, 2))
        lowest = -sole_positions(track, arrays)[..., 1].max(axis=(1, 2))
        assert np.abs(lowest).max() < 0.02 and heights.max() < 0.25
        head = joint_positions(track, arrays)[:, 15]
        feet = joint_positions(track, arrays)[:, 10]
        up = (head - feet).mean(axis=0)
        assert up[1] < -1.2 and np.linalg.norm(up[[0, 2]]) < 0.2
    down = float(notes[2].split('moved down by ')[1].split(' mm')[0])
    assert 80 < down < 160
    assert all('turned by' in note and note.startswith('track_') for note in notes)


def test_feet_stand_still(arrays):
    rng = np.random.default_rng(0)
    jitter = np.cumsum(rng.normal(scale=0.004, size=(40, 2)), axis=0)
    track = person(arrays, 1, jitter + np.array([0, 4]))
    (placed,), _ = put_on_floor([track], arrays)
    locked, note = lock_feet(placed, arrays, FPS)

    def sliding(one):
        middle = sole_positions(one, arrays)[:, :2].mean(axis=2)[..., [0, 2]]
        return np.linalg.norm(np.diff(middle, axis=0), axis=-1).mean() * FPS

    assert sliding(locked) < 0.1 * sliding(placed)
    told = [float(word) for word in note.replace(',', ' ').split() if word.isdigit()]
    size = np.linalg.norm(locked.transl - placed.transl, axis=1) * 1000
    assert told[:2] == [40, 40]
    assert told[2] == pytest.approx(size.mean(), abs=1)
    assert told[3] == pytest.approx(size.max(), abs=1)
    assert told[4] == pytest.approx(sliding(placed) * 1000, rel=0.1)
    assert locked.transl[:, 1] == pytest.approx(placed.transl[:, 1])  # height stays


def test_who_does_not_stand_is_left_alone(arrays):
    flying = person(arrays, 1, np.hstack([np.linspace(0, 9, 30)[:, None], np.full((30, 1), 4.0)]))
    locked, note = lock_feet(flying, arrays, FPS)
    assert locked is flying and note == 'track_1: no foot stands still, nothing was moved'


def test_files_are_on_the_floor_and_the_console_tells(make_frame, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(motion_files, 'notice', said.append)
    frames = [make_frame(index, people=1, track_ids=[3]) for index in range(4)]
    options = ExportOptions(floor=True, foot_lock=True)
    with ResultSaver(tmp_path, ['amass', 'glb'], fps=FPS, options=options) as saver:
        for frame in frames:
            saver.add(frame, 'clip')
    with np.load(tmp_path / 'clip_amass_track_3.npz') as data:
        assert data['trans'][:, 2].min() > 0.3  # the pelvis, above a floor at 0
    assert sum('put on the floor' in line for line in said) == 2
    assert sum('feet' in line or 'foot' in line for line in said) == 2
    with pytest.raises(InputError, match='foot_lock needs floor'):
        ResultSaver(tmp_path, ['amass'], options=ExportOptions(foot_lock=True))
