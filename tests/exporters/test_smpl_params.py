# SPDX-License-Identifier: Apache-2.0
"""Parameter files, posed again with the body model."""

import numpy as np
import pytest
import torch

from fastmetro_mm.body.build import build_body_model
from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.scene import AXES
from fastmetro_mm.exporters.smpl_params import smpl_parameters, write_smpl_params
from fastmetro_mm.exporters.smpl_tracks import axis_angles, fill_gaps, smpl_tracks
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat


@pytest.mark.parametrize('axes', AXES)
def test_posing_the_file_gives_the_mesh_in_every_frame(axes, make_frame, open_body, tmp_path):
    frames = [make_frame(index, people=1, track_ids=[3]) for index in range(2)]
    path = write_smpl_params(tmp_path / 'a.npz', smpl_tracks(frames)[0], fps=25, axes=axes)
    with np.load(path, allow_pickle=False) as file:
        data = dict(file)
    assert data['poses'].shape == (2, 72) and data['mocap_framerate'] == 25
    assert str(data['gender']) == 'neutral' and np.array_equal(data['trans'], data['transl'])
    assert np.array_equal(np.hstack([data['global_orient'], data['body_pose']]), data['poses'])
    out = open_body(torch.from_numpy(data['poses']), torch.from_numpy(data['betas']).expand(2, -1),
                    torch.from_numpy(data['trans']))  # fmt: skip
    for index, frame in enumerate(frames):
        expected = frame.people[0].camera_vertices @ AXES[axes].T
        assert np.abs(out.vertices[index].numpy() - expected).max() < 1e-5


def test_smplx_poses_the_file_alike(make_frame, tmp_path):
    pytest.importorskip('smplx')
    frame = make_frame(people=1)
    path = write_smpl_params(tmp_path / 'a.npz', smpl_tracks([frame])[0])
    with np.load(path, allow_pickle=False) as file:
        poses, betas, trans = (torch.from_numpy(file[k]) for k in ('poses', 'betas', 'trans'))
    out = build_body_model('open_body', backend='smplx')(poses, betas[None], trans)
    expected = frame.people[0].camera_vertices
    assert np.abs(out.vertices[0].detach().numpy() - expected).max() < 1e-5


def test_a_single_image_needs_no_track_ids(make_frame):
    frame = make_frame(people=2)
    tracks = smpl_tracks([frame])
    assert [track.name for track in tracks] == ['person_0', 'person_1']
    assert smpl_parameters(tracks[1])['poses'].shape == (1, 72)


def test_gaps_are_filled_along_arc_and_line():
    turns = axis_angle_to_rotmat(torch.tensor([[[0, 0, 0.0]], [[0, 0, 0.9]]]).double()).numpy()
    frames, rotmat, transl = fill_gaps(np.array([4, 7]), turns, np.array([[0, 0, 1.0], [3, 0, 1]]))
    assert frames.tolist() == [4, 5, 6, 7]
    assert np.allclose(axis_angles(rotmat)[:, 0, 2], [0, 0.3, 0.6, 0.9])
    assert np.allclose(transl[:, 0], [0, 1, 2, 3])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(gender='none'), "unknown gender 'none': use neutral"),
        (dict(fps=0), 'fps is 0'),
        (dict(axes='blender'), 'unknown axes'),
    ],
)
def test_mistakes_are_named(arguments, message, make_frame, tmp_path):
    track = smpl_tracks([make_frame(people=1)])[0]
    with pytest.raises(ExportError, match=message):
        write_smpl_params(tmp_path / 'a.npz', track, **arguments)
    assert not list(tmp_path.iterdir())
