# SPDX-License-Identifier: Apache-2.0
"""OBJ, PLY and npz, read back with trimesh and NumPy."""

import numpy as np
import pytest

from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.mesh_files import write_npz, write_obj, write_ply
from fastmetro_mm.exporters.scene import AXES, frame_meshes, person_names
from fastmetro_mm.visualization.render_types import RenderMesh

Y_UP = np.array([1.0, -1, -1])


@pytest.fixture(scope='module')
def meshes(make_frame):
    return frame_meshes(make_frame(people=2))


@pytest.mark.parametrize('axes', AXES)
def test_axes_are_rotations_and_known(axes):
    turn = AXES[axes]
    assert np.array_equal(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) == 1
    head, ahead = turn @ [0, -1, 0], turn @ [0, 0, 1]
    expected = {'camera': ([0, -1, 0], [0, 0, 1]), 'y_up': ([0, 1, 0], [0, 0, -1]),
                'z_up': ([0, 0, 1], [0, 1, 0])}[axes]  # fmt: skip
    assert np.array_equal(head, expected[0]) and np.array_equal(ahead, expected[1])


@pytest.mark.parametrize('ending', ['obj', 'ply'])
def test_an_independent_reader_finds_the_same_people(ending, meshes, tmp_path):
    trimesh = pytest.importorskip('trimesh')
    write = {'obj': write_obj, 'ply': write_ply}[ending]
    path = write(tmp_path / f'two.{ending}', meshes)
    loaded = trimesh.load(path, process=False, force='mesh', maintain_order=True)
    vertices = np.concatenate([mesh.vertices for mesh in meshes]) * Y_UP
    assert np.abs(np.asarray(loaded.vertices) - vertices).max() < 1e-6
    count = len(meshes[0].vertices)
    assert np.array_equal(loaded.faces[: len(meshes[0].faces)], meshes[0].faces)
    assert np.array_equal(loaded.faces[len(meshes[0].faces) :], meshes[1].faces + count)
    colors = loaded.visual.vertex_colors[:, :3] / 255
    assert np.abs(colors[0] - meshes[0].color).max() < 0.003
    assert np.abs(colors[-1] - meshes[1].color).max() < 0.003
    # Outside stays outside: volumes of closed surfaces are positive.
    first = trimesh.Trimesh(loaded.vertices[:count], meshes[0].faces, process=False)
    assert first.volume > 0.03
    # No temporary file is left.
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_people_are_named_objects(make_frame, tmp_path):
    frame = make_frame(people=2, track_ids=[7, 3])
    path = write_obj(tmp_path / 'a.obj', frame_meshes(frame), person_names(frame))
    names = [line[2:] for line in path.read_text().splitlines() if line.startswith('o ')]
    assert names == ['track_7', 'track_3']


def test_camera_axes_leave_positions_alone(meshes, tmp_path):
    path = write_obj(tmp_path / 'a.obj', meshes[:1], axes='camera')
    lines = path.read_text().splitlines()
    assert lines[0] == '# made by fastmetro_mm: metres, axes: camera'
    found = np.array([line.split()[1:4] for line in lines if line.startswith('v ')], float)
    assert np.abs(found - meshes[0].vertices).max() < 1e-6


def test_npz_holds_plain_arrays(meshes, tmp_path):
    path = write_npz(tmp_path / 'a.npz', meshes, ['anna', 'ben'])
    with np.load(path, allow_pickle=False) as file:
        assert file['names'].tolist() == ['anna', 'ben']
        assert np.abs(file['vertices_1'] - meshes[1].vertices).max() < 1e-6
        assert np.array_equal(file['faces_1'], meshes[1].faces)


def test_people_without_a_place_are_left_out(make_frame):
    frame = make_frame(people=2)
    frame.people[0].translation = np.full(3, np.nan)
    assert len(frame_meshes(frame)) == 1 and person_names(frame) == ['person_1']


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda m, p: write_obj(p / 'a.obj', []), 'no people'),
        (lambda m, p: write_obj(p / 'a.ply', m), r'must end with \.obj'),
        (lambda m, p: write_ply(p / 'a.ply', m, axes='up'), "unknown axes 'up': use camera"),
        (lambda m, p: write_ply(p / 'a.ply', m, ['one']), '1 names for 2 meshes'),
        (lambda m, p: RenderMesh(np.zeros((3, 3)), np.array([[0, 1, 3]])), 'faces name vertices'),
    ],
)
def test_mistakes_are_named(call, message, meshes, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(meshes, tmp_path)
    assert not list(tmp_path.iterdir())


def test_missing_smpl_mesh_is_named(make_frame):
    frame = make_frame(people=1)
    frame.people[0].smpl_vertices = None
    with pytest.raises(ExportError, match='no mesh of the SMPL head'):
        frame_meshes(frame, 'smpl')
