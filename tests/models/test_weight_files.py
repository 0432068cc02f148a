# SPDX-License-Identifier: Apache-2.0
"""Weights by the name of a shipped network, or by a path."""

import pytest
import torch
from safetensors.torch import save_file

from fastmetro_mm.errors import ConfigError, MissingFileError
from fastmetro_mm.models.weight_files import load_weights, weight_file


def test_a_path_is_read_in_float32(tmp_path):
    values = torch.tensor([0.5, -2.0, 1.25])  # without loss in half precision
    path = tmp_path / 'mine.safetensors'
    save_file({'a': values.half(), 'n': torch.tensor([3])}, path)
    assert weight_file(path) == path
    found = load_weights(path)
    assert torch.equal(found['a'], values) and found['a'].dtype == torch.float32
    assert found['n'].tolist() == [3] and found['n'].dtype == torch.int64


def test_a_name_that_nothing_has_tells_those_there_are(tmp_path):
    with pytest.raises(MissingFileError, match=r'movenet_big: neither .*movenet_thunder'):
        weight_file('movenet_big')


def test_a_file_that_is_cut_off(tmp_path):
    path = tmp_path / 'cut.safetensors'
    save_file({'a': torch.ones(64)}, path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ConfigError, match=r'cut\.safetensors: not a whole safetensors file'):
        load_weights(path)
