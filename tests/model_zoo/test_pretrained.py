# SPDX-License-Identifier: Apache-2.0
"""A network saved as a folder comes back the same; folders of others are checked."""

import json

import numpy as np
import pytest
import torch

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.errors import CheckpointError, ConfigError
from fastmetro_mm.model_zoo import from_pretrained, save_pretrained
from fastmetro_mm.model_zoo.model_loading import load_network

BOX = [[10, 10, 110, 110]]


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(4)
    return load_network('quickstart', None, 'cpu')


@pytest.fixture()
def folder(network, tmp_path):
    return save_pretrained(network, tmp_path / 'small_body', 'Trained on nothing.', 'cc0-1.0')


def test_saved_network_gives_the_same_meshes(network, folder):
    image = np.random.default_rng(0).integers(0, 255, (120, 120, 3), np.uint8)
    again = from_pretrained(str(folder))
    assert all(
        torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items()
    )
    x = torch.linspace(-2, 2, 3 * 96 * 96).reshape(1, 3, 96, 96)
    with torch.no_grad():
        expected = network(x, None, mode='tensor')
        found = again(x, None, mode='tensor')
    torch.testing.assert_close(found.vertices, expected.vertices, rtol=0, atol=0)
    # the crop of the config is saved too
    (frame,) = MeshInferencer(str(folder))(image, bboxes=BOX)
    assert frame.people[0].vertices.shape == (6890, 3)
    assert again.dataset_meta['num_keypoints'] == 14


def test_card_and_config_are_in_the_hubs_form(folder):
    card = (folder / 'README.md').read_text()
    assert 'license: cc0-1.0' in card and 'Trained on nothing.' in card
    config = json.loads((folder / 'config.json').read_text())
    assert config['model']['type'] == 'fastmetro_mm.models.TopdownMeshEstimator'
    assert 'init_cfg' not in json.dumps(config)


def test_folder_in_use_is_left_alone(network, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ConfigError, match='is not empty'):
        save_pretrained(network, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_other_weights_than_the_saved_ones_are_refused(folder):
    weights = folder / 'model.safetensors'
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match='is not the file that was saved'):
        from_pretrained(str(folder))


@pytest.mark.parametrize(
    'kind',
    [
        'os.system',
        'fastmetro_mm.fileio.write_atomically',
        'mmengine.fileio.rmtree',
        'torch.hub.load',
        'builtins.eval',
        'fastmetro_mm.datasets.write_tsv_set',
        'torch.nn.init.zeros_',
        'fastmetro_mm.models.losses.os.system',
    ],
)
def test_config_cannot_name_other_code(folder, kind):
    path = folder / 'config.json'
    config = json.loads(path.read_text())
    config['model']['neck']['type'] = kind
    path.write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r'model\.neck asks for'):
        from_pretrained(str(folder))


def test_foreign_json_is_named(folder):
    (folder / 'config.json').write_text('{"hidden_size": 768}')
    with pytest.raises(ConfigError, match='not the config of a network saved by fastmetro_mm'):
        from_pretrained(str(folder))
