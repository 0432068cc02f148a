# SPDX-License-Identifier: Apache-2.0
"""Names of networks: shipped, kept, released, trained, on a hub, unknown."""

import json
import sys
from types import SimpleNamespace

import pytest
import yaml

from fastmetro_mm.apis.model_choice import choose_model
from fastmetro_mm.cli.models import list_models
from fastmetro_mm.config_files import config_names, config_path
from fastmetro_mm.errors import MissingFileError, ModelHubError
from fastmetro_mm.model_zoo import RELEASED, find_model, find_released, lookup, shipped_models


@pytest.fixture(autouse=True)
def empty_place(tmp_path, monkeypatch):
    """A working directory and a cache without networks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('FASTMETRO_CACHE', str(tmp_path / 'cache'))


def make_saved(folder):
    folder.mkdir(parents=True)
    (folder / 'config.json').write_text('{}')
    (folder / 'model.safetensors').write_bytes(b'')
    return folder


def test_released_files_are_those_of_the_authors():
    assert {released.name for released in RELEASED} == {
        f'FastMETRO-{name}_state_dict.bin'
        for name in (
            'S-R50_h36m',
            'S-R50_3dpw',
            'L-H64_h36m',
            'L-H64_3dpw',
            'L-H64_smpl_h36m',
            'L-H64_smpl_3dpw',
            'L-H64_freihand',
        )
    }
    assert {released.config for released in RELEASED} <= set(config_names())
    for given in (
        'x/FastMETRO-L-H64_3dpw_state_dict.bin',
        'FastMETRO-L-H64_3dpw',
        'fastmetro_l_h64_3dpw',
    ):
        assert find_released(given).config == 'fastmetro_l_h64_3dpw'
    assert find_released('quickstart') is None


@pytest.mark.parametrize('name', ['fastmetro_l_h64_3dpw', 'FastMETRO-L-H64_3dpw'])
def test_missing_released_file_says_where_from_and_where_to(name, tmp_path):
    with pytest.raises(MissingFileError) as caught:
        find_model(name)
    line = str(caught.value)
    assert '\n' not in line and 'github.com/postech-ami/FastMETRO' in line
    assert 'data/checkpoints/FastMETRO-L-H64_3dpw_state_dict.bin' in line
    path = tmp_path / 'data/checkpoints/FastMETRO-L-H64_3dpw_state_dict.bin'
    path.parent.mkdir(parents=True)
    path.write_bytes(b'')
    found = find_model(name)
    assert (found.origin, found.config) == ('released', config_path('fastmetro_l_h64_3dpw'))
    assert found.weights == 'data/checkpoints/FastMETRO-L-H64_3dpw_state_dict.bin'


def test_shipped_network_is_found_by_its_configs_name(tmp_path, monkeypatch):
    monkeypatch.setattr(lookup, '_SHIPPED', tmp_path)
    assert shipped_models() == []
    (tmp_path / 'quickstart.safetensors').write_bytes(b'')
    (tmp_path / 'movenet_thunder.safetensors').write_bytes(b'')  # a backbone, no network
    assert shipped_models() == ['quickstart']
    found = find_model('quickstart')
    assert (found.origin, found.weights) == ('shipped', str(tmp_path / 'quickstart.safetensors'))


def test_trained_checkpoint_best_before_newest(tmp_path):
    assert find_model('quickstart').weights is None
    folder = tmp_path / 'work_dirs/quickstart'
    folder.mkdir(parents=True)
    (folder / 'epoch_8.pth').write_bytes(b'')
    assert find_model('quickstart').weights == 'work_dirs/quickstart/epoch_8.pth'
    (folder / 'best_PA-MPJPE_epoch_6.pth').write_bytes(b'')
    found = find_model('quickstart')
    assert found.weights == 'work_dirs/quickstart/best_PA-MPJPE_epoch_6.pth'
    assert found.origin == 'trained'


def test_weights_of_another_config_are_not_taken(tmp_path):
    folder = tmp_path / 'work_dirs/quickstart'  # where the quickstart trains another config
    folder.mkdir(parents=True)
    (folder / 'epoch_4.pth').write_bytes(b'')
    (folder / 'quickstart_movenet.py').write_text('')
    assert find_model('quickstart').weights is None
    weights = 'work_dirs/quickstart/epoch_4.pth'
    assert choose_model(None, weights) == ('quickstart_movenet', weights)
    (folder / 'quickstart.py').write_text('')
    assert find_model('quickstart').weights == weights
    assert choose_model(None, weights) == ('quickstart', weights)  # two: nobody can tell


def test_saved_folder_and_cache(tmp_path):
    folder = make_saved(tmp_path / 'mine')
    assert find_model(str(folder)).origin == 'saved'
    make_saved(tmp_path / 'cache/kept')
    found = find_model('kept')
    assert (found.origin, found.config) == ('cached', str(tmp_path / 'cache/kept/config.json'))
    assert 'kept' in [row['name'] for row in list_models()]


def test_unknown_name_gets_a_suggestion():
    with pytest.raises(MissingFileError, match=r'did you mean .*quickstart'):
        find_model('quickstrat')


def test_hub_without_the_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ModelHubError, match=r'fastmetro_mm\[hub\]'):
        find_model('somebody/body')


def test_hub_is_asked_once_named_and_never_offline(tmp_path, monkeypatch):
    asked = []

    def snapshot_download(name, revision, cache_dir, local_files_only, allow_patterns):
        asked.append((name, revision, local_files_only))
        if local_files_only:
            raise FileNotFoundError('not in the cache')
        folder = cache_dir / 'snapshot'
        return str(folder if folder.exists() else make_saved(folder))

    monkeypatch.setitem(
        sys.modules, 'huggingface_hub', SimpleNamespace(snapshot_download=snapshot_download)
    )
    found = find_model('somebody/body', revision='v1')
    assert found.origin == 'hub' and found.weights.startswith(str(tmp_path / 'cache/hub'))
    monkeypatch.setenv('FASTMETRO_OFFLINE', '1')
    with pytest.raises(ModelHubError, match='the network is switched off'):
        find_model('somebody/body')
    assert asked == [('somebody/body', 'v1', False), ('somebody/body', None, True)]


def test_hub_repository_of_another_kind_is_refused(tmp_path, monkeypatch):
    (tmp_path / 'other').mkdir()
    monkeypatch.setitem(
        sys.modules,
        'huggingface_hub',
        SimpleNamespace(snapshot_download=lambda *names, **options: str(tmp_path / 'other')),
    )
    with pytest.raises(ModelHubError, match=r'config\.json is missing'):
        find_model('somebody/else')


def test_command_lists_every_config_once(capsys, monkeypatch):
    from fastmetro_mm.cli import models

    monkeypatch.setattr(sys, 'argv', ['fastmetro models', '--json'])
    assert models.main() == 0
    rows = json.loads(capsys.readouterr().out)
    names = [row['name'] for row in rows]
    assert len(names) == len(set(names)) and set(names) >= set(config_names())


def test_model_index_names_every_released_file(repo_dir):
    index = yaml.safe_load((repo_dir / 'model-index.yml').read_text())
    models = [
        model
        for name in index['Import']
        for model in yaml.safe_load((repo_dir / name).read_text())['Models']
    ]
    assert {(model['Metadata']['Released File'], model['Name']) for model in models} == {
        (released.name, released.config) for released in RELEASED
    }
    assert all((repo_dir / model['Config']).is_file() for model in models)
