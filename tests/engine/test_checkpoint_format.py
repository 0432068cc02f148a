# SPDX-License-Identifier: Apache-2.0
"""What is encoded loads with weights_only=True and comes back as it was."""

import collections
import io

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from fastmetro_mm.engine.checkpoints.format import from_plain, to_plain


def through_a_file(value):
    buffer = io.BytesIO()
    torch.save(to_plain(value), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize(
    'array',
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.arange(3, dtype='>f4'),
        np.arange(3, dtype=np.uint16),
        np.array(3.5),
        np.array(['left', 'right_hip']),
        np.array([{'a': 1}, None], dtype=object),
        np.zeros((0, 4)),
    ],
    ids=lambda array: f'{array.dtype}{array.shape}',
)
def test_arrays_come_back(array):
    back = from_plain(through_a_file({'x': [array]}))['x'][0]
    assert back.dtype == array.dtype and back.shape == array.shape
    assert np.array_equal(back, array)


def test_history_comes_back_and_goes_on():
    back = from_plain(through_a_file(HistoryBuffer([1.0, 2.0], [1, 1], max_length=3)))
    back.update(4.0)
    back.update(8.0)
    assert back.max_length == 3 and back.data[0].tolist() == [2.0, 4.0, 8.0]


def test_scalars_paths_and_containers(tmp_path):
    value = {
        'lr': np.float64(1.5),
        'epoch': np.int64(3),
        'at': tmp_path,
        np.str_('key'): True,
        'milestones': collections.Counter([2, 2]),
        'pair': (np.float32(0.5), {1, 2}),
    }
    back = through_a_file(value)
    assert back == {
        'lr': 1.5,
        'epoch': 3,
        'at': str(tmp_path),
        'key': True,
        'milestones': collections.Counter({2: 2}),
        'pair': (0.5, {1, 2}),
    }
    assert type(back['lr']) is float and type(back['epoch']) is int
    assert type(back['milestones']) is collections.Counter


def test_state_dict_is_handed_through_untouched():
    state = torch.nn.BatchNorm1d(2).state_dict()
    assert to_plain(state) is state and from_plain(state) is state
    assert state._metadata['']['version'] == 2


def test_other_objects_are_left_out(caplog):
    assert to_plain({'keep': 1, 'drop': lambda: 0}) == {'keep': 1}
