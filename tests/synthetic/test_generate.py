# SPDX-License-Identifier: Apache-2.0
"""Whole sets: the same bytes however they are made, usable by the data set class, clear errors."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpose.registry import TRANSFORMS

from fastmetro_mm.body.joint_sets import J24_FLIP
from fastmetro_mm.datasets import DataSetError, MeshTSVDataset
from fastmetro_mm.datasets.set_files import SetFolder
from fastmetro_mm.synthetic import generate
from fastmetro_mm.synthetic.options import SyntheticSetOptions


@pytest.fixture(scope='module')
def command(repo_dir):
    """The ``main`` function of the command-line tool."""
    path = repo_dir / 'tools' / 'dataset' / 'make_synthetic.py'
    spec = importlib.util.spec_from_file_location('make_synthetic_tool', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_worker_processes_give_the_same_bytes(small_set, small_options, tmp_path):
    summary = generate.make_synthetic_set(tmp_path, small_options, workers=2, show_progress=False)
    assert summary.checksum == small_set[1].checksum
    assert contents(tmp_path) == contents(small_set[0])


def test_interrupted_run_goes_on_to_the_same_bytes(small_set, small_options, tmp_path, monkeypatch):
    drawn = []

    def stop_after_two(writer, name):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(name)
        return original(writer, name)

    original = generate.ShardWriter.draw
    monkeypatch.setattr(generate.ShardWriter, 'draw', stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        generate.make_synthetic_set(tmp_path, small_options, workers=0, show_progress=False)
    assert not (tmp_path / 'train.yaml').exists()
    monkeypatch.setattr(generate.ShardWriter, 'draw', original)
    summary = generate.make_synthetic_set(tmp_path, small_options, workers=0, show_progress=False)
    assert summary.drawn == 7  # the last 4 training samples and the 3 test samples
    assert contents(tmp_path) == contents(small_set[0])


def test_killed_while_files_are_put_in_place(small_set, small_options, tmp_path, monkeypatch):
    shutil.copytree(small_set[0], tmp_path / 'set')
    ready = tmp_path / 'set' / '.train.ready'  # as the kill leaves it: some files moved already
    ready.mkdir()
    for name in ('train.label.tsv', 'train.linelist.tsv', 'train.yaml'):
        (tmp_path / 'set' / name).rename(ready / name)
    with pytest.raises(DataSetError, match='run the same command again'):
        MeshTSVDataset(tmp_path / 'set' / 'train.yaml')
    monkeypatch.setattr(generate.ShardWriter, 'draw', None)  # nothing has to be drawn
    summary = generate.make_synthetic_set(
        tmp_path / 'set', small_options, workers=0, show_progress=False
    )
    assert summary.drawn == 0 and contents(tmp_path / 'set') == contents(small_set[0])


def test_two_runs_into_one_folder(small_options, tmp_path):
    with SetFolder(tmp_path, 'test').hold(), pytest.raises(DataSetError, match='another run'):
        generate.make_synthetic_set(tmp_path, small_options, workers=0, show_progress=False)


def test_a_set_that_another_run_is_writing_is_not_removed(small_set, small_options, tmp_path):
    folder = tmp_path / 'set'
    shutil.copytree(small_set[0], folder)
    with SetFolder(folder, 'train').hold(), pytest.raises(DataSetError, match='another run'):
        generate.make_synthetic_set(
            folder, small_options, workers=0, resume=False, show_progress=False
        )
    assert contents(folder) == contents(small_set[0])


def test_finished_set_is_not_drawn_again(small_set, small_options, monkeypatch):
    monkeypatch.setattr(generate.ShardWriter, 'draw', None)
    summary = generate.make_synthetic_set(
        small_set[0], small_options, workers=0, show_progress=False
    )
    assert summary.drawn == 0
    assert summary.checksum == small_set[1].checksum


def test_other_options_in_the_same_folder_are_refused(small_set, small_options):
    with pytest.raises(ValueError, match=r'seed 5 instead of 6.*--no-resume'):
        generate.make_synthetic_set(small_set[0], replace(small_options, seed=6), workers=0)


def test_no_resume_makes_the_set_anew(tmp_path):
    options = SyntheticSetOptions('body', train=2, test=0, seed=1, size=(64, 64))
    first = generate.make_synthetic_set(tmp_path, options, 0, show_progress=False)
    other = generate.make_synthetic_set(
        tmp_path, replace(options, seed=2), 0, resume=False, show_progress=False
    )
    assert other.drawn == 2 and other.checksum != first.checksum


def test_foreign_set_is_not_overwritten(tmp_path, small_options):
    (tmp_path / 'train.yaml').write_text('img: mine.tsv\n')
    with pytest.raises(ValueError, match='not synthetic'):
        generate.make_synthetic_set(tmp_path, small_options, workers=0)
    assert (tmp_path / 'train.yaml').read_text() == 'img: mine.tsv\n'


def test_dataset_reads_the_labels_back(small_set, small_options):
    dataset = MeshTSVDataset(str(small_set[0] / 'train.yaml'), test_mode=True)
    assert len(dataset) == small_options.train
    rows = (small_set[0] / 'train.label.tsv').read_text().splitlines()
    for index in (0, 57, 103):
        info = dataset.get_data_info(index)
        key, text = rows[index].split('\t')
        label = json.loads(text)[0]
        assert info['img_key'] == key == f'body_train_{index:06d}.jpg'
        np.testing.assert_allclose(info['joints_3d'], label['3d_joints'])
        np.testing.assert_allclose(info['pose'], label['pose'])
        image = cv2.imdecode(np.frombuffer(info['img_bytes'], np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (96, 112, 3)


def test_flipping_twice_is_the_identity(small_set):
    flip = TRANSFORMS.build(dict(type='MeshAugment', fixed=dict(flip=1)))
    info = MeshTSVDataset(str(small_set[0] / 'test.yaml'), test_mode=True).get_data_info(1)
    once = flip(dict(info))
    twice = flip(dict(once))
    assert np.abs(once['joints_3d'] - info['joints_3d']).max() > 0.05
    np.testing.assert_allclose(twice['joints_3d'], info['joints_3d'], atol=1e-6)
    np.testing.assert_allclose(twice['pose'], info['pose'], atol=1e-5)


def test_flipped_pose_gives_the_flipped_joints(small_set, body_studio):
    """The body is symmetric, so mirroring the labels must agree with mirroring the mesh."""
    flip = TRANSFORMS.build(dict(type='MeshAugment', fixed=dict(flip=1)))
    info = MeshTSVDataset(str(small_set[0] / 'test.yaml'), test_mode=True).get_data_info(2)
    flipped = flip(dict(info))
    posed = body_studio.figure.pose(flipped['pose'][None], np.zeros((1, 10)))[0].keypoints
    plain = body_studio.figure.pose(np.asarray(info['pose'])[None], np.zeros((1, 10)))[0].keypoints
    expected = (plain - plain[14])[list(J24_FLIP)] * (-1, 1, 1)
    np.testing.assert_allclose(posed - posed[14], expected, atol=1e-4)


def test_hand_set_opens_as_hands(tmp_path):
    options = SyntheticSetOptions('hand', train=3, test=1, seed=0, size=(80, 80))
    generate.make_synthetic_set(tmp_path, options, workers=0, show_progress=False)
    dataset = MeshTSVDataset(str(tmp_path / 'train.yaml'), body='hand', test_mode=True)
    info = dataset.get_data_info(2)
    assert info['joints_3d'].shape == (21, 4) and info['pose'].shape == (48,)


@pytest.mark.parametrize(
    'arguments, expected',
    [
        (['--train', '-1'], 'train is -1'),
        (['--train', '0', '--test', '0'], 'nothing to draw'),
        (['--size', '10', '10'], 'size is 10x10'),
        (['--workers', '-2'], 'workers is -2'),
        (['--train', 'many'], 'invalid int value'),
        (['--kind', 'cat'], 'invalid choice'),
        (['--colour'], 'unrecognized arguments'),
    ],
)
def test_bad_arguments_give_one_line(command, tmp_path, capsys, arguments, expected):
    try:
        status = command(['--out', str(tmp_path / 'set'), *arguments])
    except SystemExit as stop:
        status = stop.code
    error = capsys.readouterr().err
    assert status == 2
    assert expected in error and error.count('\n') == 1


def test_folder_that_cannot_be_made_gives_one_line(command, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert command(['--out', str(tmp_path / 'file' / 'set'), '--train', '1']) == 2
    error = capsys.readouterr().err
    assert 'cannot write there' in error and error.count('\n') == 1


def test_command_prints_counts_and_draws_a_sheet(command, tmp_path, capsys):
    arguments = ['--train', '2', '--test', '1', '--size', '64', '64', '--workers', '0']
    sheet = tmp_path / 'sheet.png'
    assert command(['--out', str(tmp_path), *arguments, '--sheet', str(sheet)]) == 0
    drawing = cv2.imread(str(sheet))
    assert drawing.shape[1] >= 2 * 64 and drawing.std() > 10
    captured = capsys.readouterr()
    assert '2 train, 1 test (3 drawn now)' in captured.out and 'sha256' in captured.out
    assert '3/3 images' in captured.err
