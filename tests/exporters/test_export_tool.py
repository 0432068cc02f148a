# SPDX-License-Identifier: Apache-2.0
"""tools/export.py as a user calls it."""

import runpy
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

import fastmetro_mm
from fastmetro_mm.exporters.onnx_export import crop_size_of


@pytest.fixture(scope='module')
def tool(repo_dir):
    """The tool's main function."""
    return runpy.run_path(str(repo_dir / 'tools' / 'export.py'))['main']


@pytest.fixture(scope='module')
def results(make_frame, tmp_path_factory):
    """Folder with the npz of three frames of two tracked people."""
    folder = tmp_path_factory.mktemp('results')
    for index in range(3):
        make_frame(index, people=2, track_ids=[0, 1]).save_npz(folder / f'{index:06d}.npz')
    return folder


def test_an_image_in_every_format(tool, results, tmp_path, capsys):
    names = dict(obj='a.obj', ply='a.ply', glb='a.glb', rig='rig.glb', smpl='p.npz', html='a.html')
    outputs = [word for key, name in names.items() for word in (f'--{key}', str(tmp_path / name))]
    tool(['--from', str(results / '000000.npz'), *outputs])
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {'a.obj', 'a.ply', 'a.glb', 'rig.glb', 'p_track_0.npz', 'p_track_1.npz',
                       'a.html'}  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and all(line.endswith(' MB)') for line in lines)


def test_a_video_gives_one_file_a_frame(tool, results, tmp_path):
    tool(['--from', str(results), '--glb', str(tmp_path / 'v.glb'),
          '--smpl', str(tmp_path / 's.npz'), '--fps', '25', '--axes', 'z_up'])  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        's_track_0.npz', 's_track_1.npz', 'v_000000.glb', 'v_000001.glb', 'v_000002.glb',
    ]  # fmt: skip
    with np.load(tmp_path / 's_track_1.npz') as file:
        assert file['poses'].shape == (3, 72) and file['mocap_framerate'] == 25
        assert str(file['axes']) == 'z_up'


def test_motion_formats_floor_and_levels(tool, results, tmp_path, capsys):
    names = dict(rig='v.glb', amass='m.npz', bvh='b.bvh')
    outputs = [word for key, name in names.items() for word in (f'--{key}', str(tmp_path / name))]
    tool(['--from', str(results), *outputs, '--lod', '431', '--floor', '--foot-lock'])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'b_track_0.bvh', 'b_track_1.bvh', 'm_track_0.npz', 'm_track_1.npz', 'v.glb',
    ]  # fmt: skip
    said = capsys.readouterr().err
    assert said.count('put on the floor') == 2 and said.count('feet locked') <= 2
    assert (tmp_path / 'v.glb').stat().st_size < 150_000  # 431 vertices a person


def test_a_checkpoint_becomes_a_graph_that_runs(tool, tmp_path):
    pytest.importorskip('onnxscript', reason='the export extra is not installed')
    runtime = pytest.importorskip('onnxruntime', reason='the export extra is not installed')
    config = Config.fromfile(fastmetro_mm.config_path('quickstart'))
    torch.save(MODELS.build(config.model).state_dict(), tmp_path / 'weights.pth')
    tool(['quickstart', str(tmp_path / 'weights.pth'), '--onnx', str(tmp_path / 'm.onnx'),
          '--static-batch'])  # fmt: skip
    session = runtime.InferenceSession(str(tmp_path / 'm.onnx'))
    side = crop_size_of(config)
    assert session.get_inputs()[0].shape == [1, 3, side, side]
    with np.load(tmp_path / 'm.npz') as file:
        assert file['crop_size'] == side and file['J_regressor'].shape == (14, 6890)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'nothing to do'),
        (['--onnx', 'a.onnx'], '--onnx needs a config and a checkpoint'),
        (['--obj', 'a.obj'], '--obj needs results: add --from NPZ'),
        (['--from', 'a.npz'], '--from needs one of'),
        (['--from', 'a.npz', '--fbx', 'a.fbx'], 'closed format: save bvh or glb'),
        (['--from', 'a.npz', '--bvh', 'a.bvh', '--foot-lock'], '--foot-lock needs --floor'),
        (['--from', 'missing.npz', '--obj', 'a.obj'], 'missing.npz: No such file'),
        (['--from', '{results}', '--obj', 'a.stl'], r'a.stl: the name must end with .obj'),
        (['--from', '{empty}', '--obj', 'a.obj'], 'no .npz in this folder'),
        (['--from', '{text}', '--obj', 'a.obj'], 'notes.npz'),
        (['--from', '{results}', '--obj', '{text}/a.obj'], 'notes.npz'),
        (['quickstar', 'a.pth', '--onnx', 'a.onnx'], "no shipped config 'quickstar'"),
        (['quickstart', 'a.pth', '--onnx', 'a.onnx'], 'a.pth: no such weights file'),
        (['--from', 'a.npz', '--obj', 'a.obj', '--axes', 'up'], 'invalid choice'),
    ],
)
def test_mistakes_end_in_one_line(arguments, message, tool, results, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'notes.npz').write_text('this is no npz')
    words = dict(results=results, empty=tmp_path / 'empty', text=tmp_path / 'notes.npz')
    with pytest.raises(SystemExit) as stop:
        tool([argument.format(**words) for argument in arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith('error: ') and message in error[0]


def test_results_without_a_skeleton_are_named(tool, make_frame, tmp_path, capsys):
    frame = make_frame(people=1)
    frame.people[0].body_pose = None
    path = frame.save_npz(tmp_path / 'a.npz')
    with pytest.raises(SystemExit):
        tool(['--from', str(path), '--rig', str(tmp_path / 'a.glb')])
    assert 'a rig needs them: use open_body' in capsys.readouterr().err


def test_help_explains_both_uses(repo_dir):
    done = subprocess.run([sys.executable, str(repo_dir / 'tools' / 'export.py'), '--help'],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert 'fastmetro export CONFIG CHECKPOINT --onnx' in done.stdout
    assert '--from photo.npz --glb' in done.stdout


def test_sources_and_files_of_others_are_left_alone(tool, make_frame, tmp_path, capsys):
    source = make_frame(0, people=1, track_ids=[0]).save_npz(tmp_path / 'clip.npz')
    np.savez(tmp_path / 'mine.npz', weights=np.zeros(3))
    (tmp_path / 'mine.html').write_text('<p>mine')
    (tmp_path / 'link.glb').symlink_to(tmp_path / 'mine.html')
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for option, name, message in (
        ('--smpl', 'clip.npz', 'this is where the results come from'),
        ('--smpl', 'mine.npz', 'is no result of this package'),
        ('--html', 'mine.html', 'is no result of this package'),
        ('--glb', 'link.glb', 'is a symbolic link'),
    ):
        with pytest.raises(SystemExit) as stop:
            tool(['--from', str(source), option, str(tmp_path / name)])
        assert stop.value.code == 2 and message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool(['--from', str(tmp_path), '--smpl', str(tmp_path / 'mine.npz')])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    for _ in range(2):  # results of before are replaced
        tool(['--from', str(source), '--html', str(tmp_path / 'new.html')])
