# SPDX-License-Identifier: Apache-2.0
"""Tools on the real network: real images, official weights, users' mistakes."""

import importlib.util
import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmpose.apis import init_model

from fastmetro_mm import config_path
from fastmetro_mm.dataset_tools.converters.spin_npz import SpinNpzSource
from fastmetro_mm.datasets.tsv_writer import write_tsv_set
from fastmetro_mm.synthetic.generate import make_synthetic_set
from fastmetro_mm.synthetic.options import SyntheticSetOptions


@pytest.fixture
def run_tool(repo_dir, tmp_path, monkeypatch):
    """Call main() of a tool in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('FASTMETRO_TRACEBACK', raising=False)

    def run(name, *arguments):
        spec = importlib.util.spec_from_file_location(f'tool_{name}', repo_dir / f'tools/{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.main([str(argument) for argument in arguments])

    return run


@pytest.fixture
def error_of(run_tool, capsys):
    """The one line that a user's mistake prints."""

    def run(name, *arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            run_tool(name, *arguments)
        assert stop.value.code == 2
        lines = capsys.readouterr().err.strip().splitlines()
        errors = [line for line in lines if line.startswith('error: ')]
        assert len(errors) == 1
        assert 'Traceback' not in ''.join(lines)
        return errors[0]

    return run


@pytest.fixture(scope='module')
def quickstart_weights(tmp_path_factory):
    """Untrained weights of the quickstart network."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('weights') / 'quickstart.pth'
    model = init_model(config_path('quickstart'), device='cpu')
    torch.save({'state_dict': model.state_dict()}, path)
    return path


@pytest.fixture(scope='module')
def people(tmp_path_factory):
    """A tiny synthetic set."""
    folder = tmp_path_factory.mktemp('people')
    options = SyntheticSetOptions(train=4, test=3, size=(96, 96), scene='studio')
    make_synthetic_set(folder, options, workers=0, show_progress=False)
    return folder


def convert_mini(shared_dir, folder):
    """The four real Human3.6M images in our format."""
    mini = shared_dir / 'data' / 'h36m_mini'
    source = SpinNpzSource(mini / 'test_h36m.npz', mini / 'images')
    write_tsv_set(folder, 'test', (source.row(index) for index in range(len(source))))
    return folder


def test_real_images_are_evaluated_and_drawn(run_tool, shared_dir, quickstart_weights, tmp_path):
    data = convert_mini(shared_dir, tmp_path / 'h36m')
    run_tool(
        'test', config_path('quickstart'), quickstart_weights, '--work-dir', tmp_path / 'work',
        '--out', tmp_path / 'scores.json', '--show-dir', tmp_path / 'images',
        '--cfg-options', f'data_root={data}/', 'default_hooks.visualization.max_samples=4',
    )  # fmt: skip
    scores = json.loads((tmp_path / 'scores.json').read_text())
    # an untrained network is wrong by decimetres, and aligning can only help
    assert 50 < scores['PA-MPJPE'] < scores['MPJPE'] < 2000
    assert np.isfinite(scores['MPVPE'])
    images = list((tmp_path / 'images').rglob('*.jpg'))
    assert len(images) == 4
    for path in images:
        image = cv2.imread(str(path))
        assert min(image.shape[:2]) >= 112
        assert image.std() > 10  # not a blank sheet


def test_official_weights_are_evaluated_as_they_are(
    run_tool, shared_dir, official_file, tmp_path, monkeypatch
):
    """tools/test.py CONFIG official.bin, without the SMPL file."""
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(shared_dir / 'data' / 'metro'))
    data = convert_mini(shared_dir, tmp_path / 'h36m')
    run_tool(
        'test', config_path('fastmetro_s_r50_h36m'), official_file('body_s_r50'),
        '--work-dir', tmp_path / 'work', '--out', tmp_path / 'scores.json', '--cfg-options',
        f'test_dataloader.dataset.ann_file={data / "test.yaml"}',
        'test_dataloader.dataset.data_root=', 'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
    )  # fmt: skip
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert set(scores) == {'MPJPE', 'PA-MPJPE'}
    assert scores['PA-MPJPE'] < scores['MPJPE']


def test_wrong_official_weights_are_named_with_the_right_config(
    error_of, official_file, people, shared_dir, monkeypatch
):
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(shared_dir / 'data' / 'metro'))
    weights = official_file('hand_s_r50')
    line = error_of(
        'test', config_path('fastmetro_s_r50_h36m'), weights, '--cfg-options',
        f'test_dataloader.dataset.ann_file={people / "test.yaml"}',
        'test_dataloader.dataset.data_root=', 'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
    )  # fmt: skip
    assert str(weights) in line
    assert 'configs/fastmetro_s_r50_freihand.py' in line


def test_empty_set(error_of, people, quickstart_weights, tmp_path):
    empty = tmp_path / 'empty'
    shutil.copytree(people, empty)
    for file in empty.glob('test.*'):
        if file.suffix in ('.tsv', '.lineidx'):
            file.write_text('')
    line = error_of(
        'test', config_path('quickstart'), quickstart_weights, '--cfg-options',
        f'data_root={empty}/',
    )  # fmt: skip
    assert 'empty' in line
    assert 'test' in line


def test_missing_set(error_of, quickstart_weights):
    line = error_of('test', config_path('quickstart'), quickstart_weights)
    assert 'data/quickstart/test.yaml' in line


def test_missing_checkpoint(error_of, people):
    line = error_of(
        'test', config_path('quickstart'), 'none.pth', '--cfg-options', f'data_root={people}/'
    )
    assert 'none.pth' in line


def test_body_file_of_another_size(error_of, shared_dir, people, tmp_path):
    """A SMPL file with a vertex too few is refused before training starts."""
    body_data = tmp_path / 'body_models'
    shutil.copytree(shared_dir / 'data' / 'metro', body_data)
    from fastmetro_mm.body.build import load_model_arrays

    arrays = load_model_arrays('open_body')
    wrong = {
        key: value[:-1] if getattr(value, 'shape', ())[:1] == (6890,) else value
        for key, value in arrays.items()
    }
    np.savez(body_data / 'SMPL_NEUTRAL.npz', **wrong)
    line = error_of(
        'train', config_path('fastmetro_s_r50_h36m'), '--no-validate', '--cfg-options',
        f'body_data_root={body_data}', f'data_root={people}/', 'model.backbone.init_cfg=None',
        'train_dataloader.dataset.ann_file=train.yaml', 'train_dataloader.num_workers=0',
    )  # fmt: skip
    assert 'SMPL_NEUTRAL.npz' in line
    assert '6890' in line


def test_missing_body_file(error_of, shared_dir, people):
    line = error_of(
        'train', config_path('fastmetro_s_r50_h36m'), '--no-validate', '--cfg-options',
        f'body_data_root={shared_dir / "data" / "metro"}', f'data_root={people}/',
        'train_dataloader.dataset.ann_file=train.yaml', 'train_dataloader.num_workers=0',
        'model.backbone.init_cfg=None',
    )  # fmt: skip
    assert 'SMPL_NEUTRAL' in line
    assert 'fastmetro prepare' in line
