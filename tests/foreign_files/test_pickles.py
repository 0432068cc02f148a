# SPDX-License-Identifier: Apache-2.0
"""Pickles of arrays: read whatever the protocol, bounded before anything is allocated."""

import io
import pickle
import resource

import numpy as np
import pytest

from fastmetro_mm.errors import ForeignFileError
from fastmetro_mm.foreign_files.pickle_sizes import check_sizes
from fastmetro_mm.foreign_files.pickles import load_allow_listed, read_pickle

VALUE = {
    'a': np.arange(5000.0),
    'b': ['x' * 70000, 'ü', b'\xff' * 300, 10**40, None, True, 2.5],
    'c': {1, 2},
    'd': (1, (2,)),
    'e': np.array([{'k': np.float32(1)}, 'x'], object),
}


@pytest.mark.parametrize('protocol', range(6))
def test_every_protocol(tmp_path, protocol):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(VALUE, protocol=protocol))
    back = read_pickle(tmp_path / 'a.pkl')
    np.testing.assert_array_equal(back['a'], VALUE['a'])
    assert back['b'] == VALUE['b'] and back['c'] == VALUE['c'] and back['d'] == VALUE['d']
    assert back['e'][0]['k'] == 1 and back['e'][1] == 'x'


def test_texts_of_python_2(tmp_path):
    """Binary arrays as escaped text, which is neither ASCII nor UTF-8."""
    raw = np.arange(3.0).tobytes()
    text = "S'" + ''.join(f'\\x{byte:02x}' for byte in raw) + "'\n"
    data = (
        b"(dp1\nS'a'\np2\ncnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4\n(I0\n"
        b"tp5\nS'b'\np6\ntp7\nRp8\n(I1\n(I3\ntp9\ncnumpy\ndtype\np10\n(S'f8'\np11\nI0\nI1\ntp12"
        b"\nRp13\n(I3\nS'<'\np14\nNNNI-1\nI-1\nI0\ntp15\nbI00\n" + text.encode() + b'p16\ntp17\nbs.'
    )
    (tmp_path / 'a.pkl').write_bytes(data)
    assert read_pickle(tmp_path / 'a.pkl')['a'].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    'data',
    [
        b'\x80\x02]r\xff\xff\xff\x7f.',  # memo of 2**31 entries
        b']p2000000000\n.',
        b'\x80\x04\x8e' + (10**12).to_bytes(8, 'little') + b'.',  # a terabyte of bytes
        b'\x80\x04\x8d' + (10**12).to_bytes(8, 'little') + b'.',  # of text
        b'\x80\x05\x96' + (10**12).to_bytes(8, 'little') + b'.',  # of bytearray
        b'\x80\x02X\xff\xff\xff\xff.',
        b'\x80\x02\x8b\xff\xff\xff\x7f.',
        b'\x80\x02\xfe.',
        b'\x80\x02]q',
        b"(S'never ends",
    ],
)
def test_bombs_cost_nothing(data):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ForeignFileError, match=r'a\.pkl: damaged or truncated'):
        load_allow_listed(io.BytesIO(data), 'a.pkl')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # kB


def test_the_stream_stays_where_it_was():
    stream = io.BytesIO(b'xx' + pickle.dumps(1) + pickle.dumps([2]))
    stream.seek(2)
    check_sizes(stream)
    assert stream.tell() == 2
    assert load_allow_listed(stream, 'a') == 1 and load_allow_listed(stream, 'a') == [2]
