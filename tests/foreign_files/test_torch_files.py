# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of every format and protocol come back; nothing in them runs."""

import argparse
import io
import os
import pickle
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from fastmetro_mm.errors import ForeignFileError, UntrustedCheckpointError
from fastmetro_mm.foreign_files.torch_files import read_torch_file


@pytest.fixture(scope='module')
def training():
    """A network and everything that a training writes beside it."""
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.randn(4, 2)).sum().backward()
    optimizer.step()
    content = dict(
        state_dict=network.state_dict(),
        optimizer=optimizer.state_dict(),
        history=HistoryBuffer([1.0, 2.0], [1, 1]),
        milestones=Counter([2, 2]),
        meta=dict(
            score=np.float64(2),
            sigmas=np.arange(3, dtype='>f4'),
            none=b'',
            raw=b'abc',
            names=np.array(['left', None], object),
            text=np.array(['é']),
        ),
        plain=(1, torch.Size([2]), torch.float32, torch.device('cuda:3'), 1 + 2j, {1, 2}),
        tensors=[
            torch.ones(3).half(),
            torch.ones(2, dtype=torch.uint16),
            torch.zeros(0),
            torch.ones(2).to(torch.float8_e4m3fn),
            torch.arange(12.0).reshape(3, 4)[1:, ::2],
            nn.Parameter(torch.ones(2)),
            torch.tensor(True),
            torch.tensor(5),
        ],
    )
    return network, content


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
@pytest.mark.parametrize('as_zip', [True, False])
def test_every_format_and_protocol(tmp_path, training, protocol, as_zip):
    network, content = training
    torch.save(
        content, tmp_path / 'a.pth', pickle_protocol=protocol, _use_new_zipfile_serialization=as_zip
    )
    back = read_torch_file(tmp_path / 'a.pth')
    state = network.state_dict()
    assert list(back['state_dict']) == list(state)
    assert all(torch.equal(back['state_dict'][key], value) for key, value in state.items())
    assert back['state_dict']._metadata == state._metadata
    momentum = content['optimizer']['state'][0]['exp_avg']
    assert torch.equal(back['optimizer']['state'][0]['exp_avg'], momentum)
    assert back['milestones'] == Counter({2: 2}) and back['plain'] == content['plain']
    back['history'].update(3.0)
    assert back['history'].mean() == 2 and back['history'].max_length == 1000000
    meta = back['meta']
    assert (meta['score'], meta['none'], meta['raw']) == (2, b'', b'abc')
    assert meta['sigmas'].dtype == '>f4' and meta['sigmas'].tolist() == [0, 1, 2]
    assert meta['names'].tolist() == ['left', None] and meta['text'].tolist() == ['é']
    for found, tensor in zip(back['tensors'], content['tensors'], strict=True):
        assert found.dtype == tensor.dtype and torch.equal(found.double(), tensor.double())


def test_plain_pickles_of_tensors_and_arrays(tmp_path, training):
    state = training[0].state_dict()
    for content in (state, {key: value.numpy() for key, value in state.items()}):
        (tmp_path / 'a.pkl').write_bytes(pickle.dumps(content))
        back = read_torch_file(tmp_path / 'a.pkl')
        for key, value in state.items():
            assert torch.equal(torch.as_tensor(back[key]), value)


@pytest.mark.parametrize('as_zip', [True, False])
@pytest.mark.filterwarnings('ignore:Couldn.t retrieve source')
def test_a_network_saved_whole_gives_its_weights(tmp_path, training, as_zip):
    """Its class is never imported, so the code that it comes from is not needed either."""
    network, _ = training
    network.register_buffer('scratch', torch.zeros(1), persistent=False)
    try:
        for content, key in ((network, 'state_dict'), ({'model': network, 'epoch': 3}, 'model')):
            torch.save(content, tmp_path / 'a.pth', _use_new_zipfile_serialization=as_zip)
            back = read_torch_file(tmp_path / 'a.pth')[key]
            assert list(back) == list(network.state_dict())
            assert all(torch.equal(back[k], v) for k, v in network.state_dict().items())
    finally:
        del network.scratch


class _Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.parametrize('form', ['zip', 'old', 'pickle'])
def test_nothing_runs(tmp_path, training, protocol, form):
    trace = tmp_path / 'trace'
    for function, arguments in (
        (os.system, (f'touch {trace}',)),
        (open, (str(trace), 'w')),
        (eval, (f'open({str(trace)!r}, "w")',)),
        (exec, (f'open({str(trace)!r}, "w")',)),
        (getattr, (np.ndarray, 'tofile')),
        (np.save, (str(trace), np.zeros(1))),
        (torch.load, (str(trace),)),
        (torch.hub.load, ('owner/name', 'main')),
    ):
        for content in (
            _Call(function, *arguments),
            {'meta': _Call(function, *arguments), 'model': training[0]},
        ):
            path = tmp_path / 'evil.pth'
            if form == 'pickle':
                path.write_bytes(pickle.dumps(content, protocol=protocol))
            else:
                torch.save(
                    content,
                    path,
                    pickle_protocol=protocol,
                    _use_new_zipfile_serialization=form == 'zip',
                )
            with pytest.raises(ForeignFileError, match='evil') as error:
                read_torch_file(path)
            assert '\n' not in str(error.value) and not trace.exists()


def test_unknown_objects_name_the_way_out(tmp_path):
    torch.save({'meta': argparse.Namespace(a=1)}, tmp_path / 'a.pth')
    with pytest.raises(UntrustedCheckpointError, match=r'argparse\.Namespace.*--trust-checkpoint'):
        read_torch_file(tmp_path / 'a.pth')


def _rewrite(path, change):
    """Zip checkpoint with its members changed, checksums made anew."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, 'w') as new:
        for name in old.namelist():
            content = change(name.partition('/')[2], old.read(name))
            if content is not None:
                new.writestr(name, content)
    path.write_bytes(buffer.getvalue())


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda name, data: data[:-4] if name == 'data/0' else data, 'storage 0 has 20 bytes'),
        (lambda name, data: None if name == 'data/0' else data, 'data/0'),
        (lambda name, data: b'big' if name == 'byteorder' else data, 'big-endian'),
        (lambda name, data: data[:40] if name == 'data.pkl' else data, 'damaged'),
        (lambda name, data: data.replace(b'FloatStorage', b'DoubleStorage'), 'float64'),
        (lambda name, data: data.replace(b'K\x03K\x02\x86', b'K\x03K\x03\x86'), 'damaged'),
        (
            lambda name, data: data.replace(b'K\x03K\x02\x86', b'K\x03J\xff\xff\xff\x7f\x86'),
            'damaged',
        ),
    ],
)
def test_contradictions_are_refused(tmp_path, change, message):
    path = tmp_path / 'a.pth'
    torch.save(OrderedDict(weight=torch.arange(6.0).reshape(3, 2)), path)
    _rewrite(path, change)
    with pytest.raises(ForeignFileError, match=message) as error:
        read_torch_file(path)
    assert 'a.pth' in str(error.value) and '\n' not in str(error.value)


def test_repeated_numbers_are_bounded(tmp_path):
    """Stride 0 makes a tensor of any size from one number."""
    torch.save({'a': torch.ones(1).expand(3, 4)}, tmp_path / 'a.pth')
    assert read_torch_file(tmp_path / 'a.pth')['a'].sum() == 12
    torch.save({'a': torch.ones(1).expand(1 << 40)}, tmp_path / 'a.pth')
    with pytest.raises(ForeignFileError, match='over 1 numbers'):
        read_torch_file(tmp_path / 'a.pth')


def test_one_flipped_bit_fails_the_checksum(tmp_path):
    path = tmp_path / 'a.pth'
    weight = torch.randn(100)
    torch.save({'weight': weight}, path)
    data = bytearray(path.read_bytes())
    data[data.index(weight.numpy().tobytes()) + 33] ^= 4
    path.write_bytes(data)
    with pytest.raises(ForeignFileError, match='CRC'):
        read_torch_file(path)


@pytest.mark.parametrize('as_zip', [True, False])
def test_cut_files(tmp_path, training, as_zip):
    path = tmp_path / 'a.pth'
    torch.save(training[1], path, _use_new_zipfile_serialization=as_zip)
    whole = path.read_bytes()
    for share in (0.01, 0.3, 0.7, 0.9, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ForeignFileError, match=r'a\.pth: damaged'):
            read_torch_file(path)


def test_sparse_and_meta_tensors_keep_their_nature(tmp_path):
    torch.save(
        {
            's': torch.sparse_coo_tensor([[0], [1]], [2.0], (2, 2)),
            'm': torch.empty(3, device='meta'),
        },
        tmp_path / 'a.pth',
    )
    back = read_torch_file(tmp_path / 'a.pth')
    assert back['s'].layout == torch.sparse_coo
    assert back['s'].to_dense().tolist() == [[0, 2], [0, 0]]
    assert back['m'].is_meta
