# SPDX-License-Identifier: Apache-2.0
"""A video of two people in every format of motion, read back: joints and times of the result.

tools/benchmark/motion_files.py prints the same figures for 300 frames of a real video.
"""

from dataclasses import replace

import numpy as np
import pytest

from fastmetro_mm.apis import load_npz
from fastmetro_mm.apis.export_options import ExportOptions
from fastmetro_mm.apis.saving import ResultSaver
from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.body.joint_sets import SMPL24
from fastmetro_mm.exporters.ground import joint_positions
from fastmetro_mm.exporters.scene import AXES, frame_meshes
from fastmetro_mm.exporters.smpl_tracks import smpl_tracks
from fastmetro_mm.result_marks import is_result
from tests.exporters.readers import GlbPlayer, joints_of, read_bvh, read_glb, read_recording

FPS = 25
LATE = 4  # frame in which track 7 is first seen


@pytest.fixture(scope='module')
def frames(make_frame):
    """Twelve frames at a varying rate; track 7 comes late, track 2 is missing once."""
    made = [make_frame(index, people=2, track_ids=[2, 7]) for index in range(12)]
    times = np.cumsum([0, 1, 1, 2, 1, 1, 1, 3, 1, 1, 1, 1]) / FPS
    made = [replace(frame, time=float(time)) for frame, time in zip(made, times, strict=True)]
    made[6].people.pop(0)
    for frame in made[:LATE]:
        frame.people.pop(1)
    return made


@pytest.fixture(scope='module')
def expected(frames, open_body):
    """Joints by track and frame, metres, y up, from the results alone."""
    row = load_body_assets('open_body').J_regressor_h36m[0].astype(np.float64)
    return {
        (person.track_id, frame.frame_index): joints_of(person, open_body, row)
        for frame in frames
        for person in frame.people
    }


@pytest.fixture(scope='module')
def folder(frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp('clip')
    kinds = ['bvh', 'glb', 'smpl', 'amass', 'npz']
    with ResultSaver(folder, kinds, fps=FPS) as saver:
        for frame in frames:
            saver.add(frame, 'clip')
    assert all(is_result(path) for path in saver.written)
    return folder


def test_bvh(folder, frames, expected):
    for (track, index), joints in expected.items():
        names, _, seconds, found = read_bvh(folder / f'clip_track_{track}.bvh')
        time = frames[index].time - (frames[LATE].time if track == 7 else 0)
        row = int(np.argmin(np.abs(seconds - time)))
        assert abs(seconds[row] - time) < 0.5 / FPS
        found = found[row, [names.index(name) for name in SMPL24]] / 100
        assert np.abs(found - joints).max() < 1e-3


def test_rigged_glb(folder, frames, expected):
    content, array = read_glb(folder / 'clip.glb')
    player = GlbPlayer(content, array)
    for (track, index), joints in expected.items():
        found = player.joints(f'track_{track}', frames[index].time)  # times of the video
        assert np.abs(found - joints).max() < 1e-3
    assert np.ptp(player.vertices('track_7', 0.0), axis=0).max() == 0  # not there yet
    told = {node['name']: node['extras'] for node in content['nodes'] if 'extras' in node}
    assert told['track_2'] == {'first_frame': 0, 'frames': 12, 'filled_frames': 1}
    assert told['track_7'] == {'first_frame': LATE, 'frames': 8, 'filled_frames': 0}


def test_smpl_npz(folder, frames, expected):
    for track in (2, 7):
        with np.load(folder / f'clip_smpl_track_{track}.npz') as data:
            assert data['seen'].tolist() == [
                (track, index) in expected for index in data['frame_indices']
            ]
            assert data['times'] == pytest.approx([frames[i].time for i in data['frame_indices']])
    for frame in frames:
        found = load_npz(folder / f'clip_npz/{frame.frame_index:06d}.npz')
        assert found.time == frame.time and len(found.people) == len(frame.people)


def layout(folder, track):
    with np.load(folder / f'clip_amass_track_{track}.npz', allow_pickle=False) as file:
        return dict(file)


def pose(open_body, rotations, transl, betas):
    """Joints (N, 24, 3) of a motion file, posed with the body of the result, z up."""
    import torch

    rotations = np.concatenate([rotations, np.zeros((len(rotations), 6), np.float32)], axis=1)
    shape = torch.from_numpy(betas).expand(len(rotations), -1)
    return open_body(torch.from_numpy(rotations), shape, torch.from_numpy(transl)).joints.numpy()


def test_a_blender_add_on_finds_its_keys(folder, frames, expected, open_body):
    """Meshcapade's: trans, gender, betas, poses of 55 joints, and a rate under one of two names."""
    for track in (2, 7):
        data = layout(folder, track)
        fps = int(data['mocap_frame_rate'])
        poses, trans = data['poses'], data['trans']
        assert fps == FPS and str(data['gender']) in ('neutral', 'male', 'female')
        assert poses.shape == (len(trans), 55 * 3) and len(data['betas']) <= 16
        assert not poses[:, 66:].any()  # jaw, eyes and fingers are at rest
        found = pose(open_body, poses[:, :66], trans, data['smpl_betas'])
        first = LATE if track == 7 else 0
        for frame in frames[first:]:
            if (track, frame.frame_index) in expected:
                time = frame.time - frames[first].time
                row = round(time * fps)
                assert abs(row / fps - time) < 0.5 / fps
                wanted = expected[track, frame.frame_index] * [1, -1, -1] @ AXES['z_up'].T
                near = np.abs(found[row] - wanted)[:22]  # wrists; hands have no joints there
                assert near.max() < 1e-3
                assert data['frame_indices'][row] == frame.frame_index


def test_gmr_finds_its_keys(folder):
    """root_orient, pose_body of 21 joints, trans, betas of 16, gender, rate with ``.item()``."""
    data = layout(folder, 2)
    count = len(data['trans'])
    assert data['root_orient'].shape == (count, 3) and data['pose_body'].shape == (count, 63)
    assert data['betas'].shape == (16,) and not data['betas'].any()
    assert data['mocap_frame_rate'].item() == FPS and str(data['gender']) == 'neutral'
    joined = np.concatenate([data['root_orient'], data['pose_body']], axis=1)
    assert np.array_equal(joined, data['poses'][:, :66])


def test_pbhc_finds_its_keys(folder):
    """Poses (the first 22 joints are used), trans, betas, gender, mocap_framerate; z up."""
    data = layout(folder, 7)
    assert data['poses'][:, :66].shape[1] == 66 and data['trans'].shape[1] == 3
    assert float(data['mocap_framerate']) == FPS
    assert (
        'dmpls' not in data and int(data['filled']) == 0 and int(layout(folder, 2)['filled']) == 1
    )
    # people stand upright: the pelvis turns about z, and the head is above it
    assert abs(data['trans'][:, 2]).max() < 1 < data['trans'][:, 1].min()


def test_rerun(frames, expected, tmp_path):
    pytest.importorskip('rerun')
    with ResultSaver(tmp_path, ['rrd'], fps=FPS, options=ExportOptions(lod=431)) as saver:
        for frame in frames:
            saver.add(frame, 'clip')
    (path,) = saver.written
    assert path.name == 'clip.rrd' and is_result(path)
    found = read_recording(path)
    for track in (2, 7):
        place = f'/people/track_{track}'
        meshes = [
            (frame.time, mesh.vertices)
            for frame in frames
            for person, mesh in zip(frame.people, frame_meshes(frame, lod=431), strict=True)
            if person.track_id == track
        ]
        rows = sorted(found[f'{place}/mesh', 'Mesh3D:vertex_positions'], key=lambda row: row[0])
        assert [row[0] for row in rows] == pytest.approx([time for time, _ in meshes], abs=1e-6)
        for (_, vertices), (_, wanted) in zip(rows, meshes, strict=True):
            assert np.abs(vertices - wanted).max() < 1e-5
        ((time, faces),) = found[f'{place}/mesh', 'Mesh3D:triangle_indices']
        assert time is None and np.array_equal(faces, frame_meshes(frames[0], lod=431)[0].faces)
        joints = found[f'{place}/joints', 'Points3D:positions']
        assert len(joints) == len(meshes)
    cleared = [time for time, _ in found['/people/track_2', 'Clear:is_recursive']]
    assert cleared == pytest.approx([frames[6].time])


def test_an_unfinished_recording_leaves_nothing(frames, tmp_path):
    pytest.importorskip('rerun')
    from fastmetro_mm.exporters.rerun_recording import RerunRecording

    recording = RerunRecording(tmp_path / 'a.rrd')
    recording.add(frames[0])
    recording.discard()
    assert list(tmp_path.iterdir()) == []


def test_the_tracks_have_the_joints_of_the_result(frames, expected):
    arrays = load_model_arrays('open_body')
    for track in smpl_tracks(frames):
        joints = joint_positions(track, arrays) * [1, -1, -1]
        for row, index in enumerate(track.frames):
            if (track.number, index) in expected:
                assert np.abs(joints[row] - expected[track.number, index]).max() < 1e-4
