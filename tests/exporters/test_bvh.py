# SPDX-License-Identifier: Apache-2.0
"""BVH: a reader written here, from the format's words alone, must find the posed body's joints."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fastmetro_mm.apis import motion_files
from fastmetro_mm.apis.saving import ResultSaver
from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.body.joint_sets import SMPL24, SMPL24_PARENTS
from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.bvh import write_bvh
from fastmetro_mm.exporters.smpl_tracks import smpl_tracks
from fastmetro_mm.result_marks import is_result
from tests.exporters.readers import joints_of, read_bvh


@pytest.fixture(scope='module')
def pelvis_row():
    from fastmetro_mm.body.assets import load_body_assets

    return load_body_assets('open_body').J_regressor_h36m[0].astype(np.float64)


@pytest.fixture
def notices(monkeypatch):
    said = []
    monkeypatch.setattr(motion_files, 'notice', said.append)
    return said


def save(frames, folder, fps=None, name='clip'):
    with ResultSaver(folder, ('bvh',), fps=fps) as saver:
        for frame in frames:
            saver.add(frame, name)
    assert all(is_result(path) for path in saver.written)
    return {path.name: read_bvh(path) for path in saver.written}


def in_smpl_order(names, joints):
    assert sorted(names) == sorted(SMPL24)
    return joints[:, [names.index(name) for name in SMPL24]]


def test_a_video(make_frame, open_body, pelvis_row, tmp_path, notices):
    frames = [make_frame(index, people=2, track_ids=[4, 1]) for index in range(300)]
    frames[100].people = frames[100].people[1:]  # track 4 is lost for a frame
    for frame in frames[:30]:
        frame.people = frame.people[:1]  # track 1 comes later
    files = save(frames, tmp_path, fps=30000 / 1001)
    assert set(files) == {'clip_track_4.bvh', 'clip_track_1.bvh'}
    for name, first, track in (('clip_track_4.bvh', 0, 4), ('clip_track_1.bvh', 30, 1)):
        names, parents, seconds, joints = files[name]
        for joint, parent in zip(names, parents, strict=True):
            expected = SMPL24_PARENTS[SMPL24.index(joint)]
            assert expected == (-1 if parent < 0 else SMPL24.index(names[parent]))
        wanted = np.arange(300 - first) * 1001 / 30000
        assert seconds == pytest.approx(wanted, abs=1e-5)
        joints = in_smpl_order(names, joints) / 100
        for frame in frames[first:]:
            for person in frame.people:
                if person.track_id == track:
                    expected = joints_of(person, open_body, pelvis_row)
                    found = joints[frame.frame_index - first]
                    assert np.abs(found - expected).max() < 2e-5
    heads = in_smpl_order(files['clip_track_4.bvh'][0], files['clip_track_4.bvh'][3])[:, 15, 1]
    assert min(heads[99], heads[101]) - 5 < heads[100] < max(heads[99], heads[101]) + 5
    assert notices == [
        f'{tmp_path}/clip_track_1.bvh: begins at frame 30 of the video (1.00 s), where the person '
        'is first seen; the format cannot tell that',
        'clip, bvh: track_4: interpolated where the person was not seen (1 of 300 frames)',
    ]


def test_a_varying_rate_becomes_even(make_frame, open_body, pelvis_row, tmp_path):
    frames = [make_frame(index, people=1, track_ids=[0]) for index in range(12)]
    times = np.cumsum([0, 2, 1, 1, 3, 1, 2, 1, 1, 1, 2, 1]) / 25  # frames were dropped
    frames = [replace(frame, time=time) for frame, time in zip(frames, times, strict=True)]
    names, _, seconds, joints = save(frames, tmp_path, fps=25)['clip_track_0.bvh']
    assert len(seconds) == 17 and seconds[-1] == pytest.approx(times[-1])
    joints = in_smpl_order(names, joints) / 100
    for frame in frames:
        row = np.argmin(np.abs(seconds - frame.time))
        assert abs(seconds[row] - frame.time) < 0.5 / 25
        expected = joints_of(frame.people[0], open_body, pelvis_row)
        assert np.abs(joints[row] - expected).max() < 1e-4


def test_an_image_and_people_without_parameters(
    make_frame, open_body, pelvis_row, tmp_path, notices
):
    frame = make_frame(0, people=2)
    files = save([frame], tmp_path, name='photo')
    for number, person in enumerate(frame.people):
        names, _, seconds, joints = files[f'photo_person_{number}.bvh']
        assert len(seconds) == 1
        found = in_smpl_order(names, joints)[0] / 100
        assert np.abs(found - joints_of(person, open_body, pelvis_row)).max() < 2e-5
    assert notices == []
    bare = dict(global_orient=None, body_pose=None, betas=None)
    frame.people[1] = replace(frame.people[1], **bare)
    assert set(save([frame], tmp_path, name='one')) == {'one_person_0.bvh'}
    assert notices == [
        'one: people without SMPL parameters are left out of the BVH files (sightings: 1)'
    ]
    frame.people[0] = replace(frame.people[0], **bare)
    with pytest.raises(ExportError, match='no SMPL parameters'):
        save([frame], tmp_path, name='none')
    assert not list(tmp_path.glob('none*'))
    notices.clear()
    save([replace(frame, people=[])], tmp_path, name='empty')
    assert notices == ['empty: nobody was found, no BVH file is written']


def test_bones_are_those_of_the_mean_shape(make_frame, open_body, tmp_path):
    frames = [make_frame(index, people=1, track_ids=[0]) for index in range(2)]
    other = frames[1].people[0]
    frames[1].people = [replace(other, betas=other.betas + 2)]
    names, _, _, joints = save(frames, tmp_path, fps=25)['clip_track_0.bvh']
    joints = in_smpl_order(names, joints) / 100
    rest = open_body(torch.eye(3).expand(1, 24, 3, 3), torch.from_numpy(other.betas + 1)[None])
    rest, parents = rest.joints[0].numpy(), list(SMPL24_PARENTS[1:])
    length = np.linalg.norm(rest[1:] - rest[parents], axis=1)
    for row in joints:
        assert np.linalg.norm(row[1:] - row[parents], axis=1) == pytest.approx(length, abs=1e-5)


def test_angles_do_not_jump_and_survive_the_pole(make_frame, tmp_path):
    track = smpl_tracks([make_frame(i, people=1, track_ids=[0]) for i in range(9)])[0]
    angle = np.radians(np.arange(9) * 45.0)
    track.rotmat[:, 16] = np.eye(3)  # L_Shoulder turns about z, past 180 degrees
    track.rotmat[:, 16, 0, 0] = track.rotmat[:, 16, 1, 1] = np.cos(angle)
    track.rotmat[:, 16, 1, 0] = np.sin(angle)
    track.rotmat[:, 16, 0, 1] = -np.sin(angle)
    track.rotmat[:, 18] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # L_Elbow: 90 degrees about x
    arrays = load_model_arrays('open_body')
    path = write_bvh(tmp_path / 'a.bvh', track, arrays)
    order = read_bvh(path)[0]
    rows = np.array([line.split() for line in path.read_text().splitlines()[-9:]], float)
    shoulder, elbow = (
        rows[:, 3 + 3 * order.index(name) :][:, :3] for name in ('L_Shoulder', 'L_Elbow')
    )
    assert shoulder == pytest.approx(np.outer(np.arange(9) * 45.0, [1, 0, 0]), abs=1e-3)
    assert elbow == pytest.approx(np.tile([0, 90, 0], (9, 1)), abs=1e-3)


def test_mistakes(make_frame, tmp_path):
    track = smpl_tracks([make_frame(0, people=1)])[0]
    arrays = load_model_arrays('open_body')
    with pytest.raises(ExportError, match=r'must end with \.bvh'):
        write_bvh(tmp_path / 'a.fbx', track, arrays)
    for fps in (0, np.nan, np.inf):
        with pytest.raises(ExportError, match='frames a second'):
            write_bvh(tmp_path / 'a.bvh', track, arrays, fps)
    with pytest.raises(ExportError, match=r'expected \(N, 24, 3, 3\)'):
        write_bvh(tmp_path / 'a.bvh', replace(track, rotmat=track.rotmat[:, :16]), arrays)
    with pytest.raises(ExportError, match='not finite'):
        write_bvh(tmp_path / 'a.bvh', replace(track, transl=track.transl * np.nan), arrays)
    theirs = tmp_path / 'clip_person_0.bvh'
    theirs.write_text('HIERARCHY\nROOT Hips\n{\n}\n')
    with pytest.raises(Exception, match='no result of this package'):
        save([make_frame(0, people=1)], tmp_path)
    assert theirs.read_text().startswith('HIERARCHY\nROOT Hips')
