# SPDX-License-Identifier: Apache-2.0
"""Animated GLB: a player written here must show the meshes of the frames."""

import numpy as np
import pytest

from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.gltf_rig import four_weights, write_animated_glb
from fastmetro_mm.exporters.smpl_tracks import smpl_tracks
from tests.exporters.conftest import leave_out
from tests.exporters.readers import GlbPlayer

Y_UP = np.array([1.0, -1, -1])


@pytest.fixture(scope='module')
def video(make_frame):
    """Six frames; track 4 is missing in frame 2, track 1 appears in frame 3."""
    frames = [make_frame(index, people=2, track_ids=[4, 1]) for index in range(6)]
    betas = [person.betas for person in frames[0].people]
    for frame in frames:
        assert all(np.array_equal(p.betas, b) for p, b in zip(frame.people, betas, strict=True))
    return leave_out(frames)


@pytest.fixture(scope='module')
def player(video, tmp_path_factory, read_glb):
    path = tmp_path_factory.mktemp('rig') / 'video.glb'
    arrays = load_model_arrays('open_body')
    write_animated_glb(path, smpl_tracks(video), arrays, video[0].camera, fps=25)
    return GlbPlayer(*read_glb(path))


@pytest.mark.parametrize('frame', [0, 1, 3, 5])
def test_the_rig_shows_the_mesh_of_the_frame(frame, video, player):
    for person in video[frame].people:
        found = player.vertices(f'track_{person.track_id}', frame / 25)
        # The open body has no pose blend shapes; what is left is float32 and the cut weights.
        assert np.abs(found - person.camera_vertices * Y_UP).max() < 2e-4


def test_a_gap_is_filled_and_absent_people_are_hidden(video, player):
    before, after = (video[i].people[0].camera_vertices[:, 2].mean() for i in (1, 3))
    between = -player.vertices('track_4', 2 / 25)[:, 2].mean()
    assert min(before, after) - 0.05 < between < max(before, after) + 0.05
    assert np.ptp(player.vertices('track_1', 1 / 25), axis=0).max() == 0
    assert np.ptp(player.vertices('track_1', 3 / 25), axis=0).max() > 1


def test_an_independent_reader_opens_it(video, tmp_path):
    trimesh = pytest.importorskip('trimesh')
    path = tmp_path / 'video.glb'
    write_animated_glb(path, smpl_tracks(video), load_model_arrays('open_body'))
    scene = trimesh.load(path, process=False)
    assert {len(mesh.vertices) for mesh in scene.geometry.values()} == {6890}
    # 6 + 3 frames of 24 rotations and two rest meshes: far below a mesh a frame.
    assert path.stat().st_size < 1_100_000


def test_four_weights_keep_the_largest():
    numbers, weights = four_weights(np.array([[0.05, 0.4, 0.1, 0.3, 0.15], [0, 1.0, 0, 0, 0]]))
    assert numbers.tolist() == [[1, 3, 4, 2], [1, 0, 0, 0]]
    assert np.allclose(weights, [[0.4 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0.1 / 0.95], [1, 0, 0, 0]])


def test_without_smpl_parameters_the_error_says_what_to_do(make_frame):
    frame = make_frame(people=1)
    frame.people[0].global_orient = None
    with pytest.raises(ExportError, match='no SMPL parameters, and a rig needs them'):
        smpl_tracks([frame])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda f: None, 'without track id'),
        (lambda f: [setattr(p, 'is_right', False) for x in f for p in x.people], 'hands'),
        (lambda f: [x.people.clear() for x in f], 'nothing to export'),
        (lambda f: [setattr(p, 'track_id', 1) for x in f for p in x.people], 'comes twice'),
    ],
)
def test_mistakes_are_named(change, message, make_frame):
    frames = [make_frame(index, people=2) for index in range(2)]
    change(frames)
    with pytest.raises(ExportError, match=message):
        smpl_tracks(frames)
