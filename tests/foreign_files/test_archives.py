# SPDX-License-Identifier: Apache-2.0
"""NumPy archives: sizes are compared before anything is unpacked, checksums after."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from fastmetro_mm.errors import ForeignFileError, UnsafePickleError
from fastmetro_mm.foreign_files.archives import NpzFile, load_npy


def npy(shape, descr="'<f8'", data=b'', version=1):
    """A .npy file with any header."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    width = 2 if version == 1 else 4
    return b'\x93NUMPY' + bytes([version, 0]) + len(text).to_bytes(width, 'little') + text + data


def npz(path, **members):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f'{name}.npy', content)
    return path


def test_arrays_and_pickled_members_come_back(tmp_path):
    boxed = np.empty((), object)
    boxed[()] = {'poses': np.arange(6.0).reshape(2, 3), 'name': 'walk', 'none': b''}
    np.savez(tmp_path / 'a.npz', plain=np.arange(3, dtype='>i2'), text=np.array(['é']), box=boxed)
    file = NpzFile(tmp_path / 'a.npz')
    assert file.names == ['plain', 'text', 'box'] and 'plain' in file and 'x' not in file
    assert file.read('plain', (3,)).tolist() == [0, 1, 2] and file['text'].tolist() == ['é']
    assert file.header('plain').shape == (3,) and file.header('box').size is None
    np.testing.assert_array_equal(file['box']['poses'], [[0, 1, 2], [3, 4, 5]])
    assert file['box']['none'] == b''
    with pytest.raises(ForeignFileError, match=r'a\.npz: holds no array other'):
        file['other']
    with pytest.raises(ForeignFileError, match=r'has shape \(3,\), expected \(4, any\)'):
        file.read('plain', (4, None))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (npy('(1000000000,)'), '8000000'),
        (npy('(100000000000000000000000,)'), 'announced'),
        (npy('(True, 3)', data=bytes(24)), 'unexpected shape'),
        (npy('(-1, 3)'), 'unexpected shape'),
        (npy('(2,)', "'|V1000000'", bytes(2000000)), 'unexpected array type'),
        (npy('(2,)', "[('a', '<f8')]", bytes(16)), 'unexpected array type'),
        (npy('(2,)', data=bytes(8)), 'announced'),
        (npy('(2,)', data=bytes(24)), 'announced'),
        (npy('(2,)', version=3, data=bytes(16)), 'unexpected version'),
        (npy('(' * 300 + ')' * 300), 'damaged'),
        (b'\x93NUMPY\x01\x00\xff\xff{', 'damaged'),
        (b'\x93NUMPY\x02\x00\xff\xff\xff\xff{', 'header'),
        (b'', 'damaged'),
        (b'junk', 'damaged'),
    ],
)
def test_headers_that_contradict_are_refused(tmp_path, content, message):
    npz(tmp_path / 'a.npz', a=content)
    for read in (NpzFile(tmp_path / 'a.npz').header, NpzFile(tmp_path / 'a.npz').read):
        with pytest.raises(ForeignFileError, match=message) as error:
            read('a')
        assert '\n' not in str(error.value) and 'a.npz[a]' in str(error.value)
    (tmp_path / 'a.npy').write_bytes(content)
    with pytest.raises(ForeignFileError, match=r'a\.npy'):
        load_npy(tmp_path / 'a.npy')


def test_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """A tenth of a megabyte that would become a hundred, as array and as pickle."""
    count = 1 << 24
    path = tmp_path / 'a.npz'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, start in (('plain', npy(f'({count},)')), ('boxed', npy('()', "'|O'"))):
            with archive.open(f'{name}.npy', 'w', force_zip64=True) as stream:
                stream.write(start)
                for _ in range(count * 8 >> 24):
                    stream.write(bytes(1 << 24))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    for name in ('plain', 'boxed'):
        with pytest.raises(ForeignFileError, match=r'would unpack to 13421\d+'):
            NpzFile(path).read(name)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    # zeros are allowed where the caller knows the shape
    npz(tmp_path / 'zeros.npz', a=npy('(8500000,)', data=bytes(68000000)))
    with pytest.raises(ForeignFileError, match='would unpack'):
        NpzFile(tmp_path / 'zeros.npz').read('a')
    assert NpzFile(tmp_path / 'zeros.npz').read('a', (8500000,)).shape == (8500000,)


def test_checksum_encryption_and_unknown_packing(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez(path, a=np.arange(100.0))
    good = path.read_bytes()
    at = good.index(np.arange(100.0).tobytes()) + 70
    path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    with pytest.raises(ForeignFileError, match='CRC'):
        NpzFile(path)['a']
    entry = good.index(b'PK\x01\x02')
    for offset, value, message in ((8, 1, 'encrypted'), (10, 99, 'damaged')):
        damaged = bytearray(good)
        damaged[entry + offset] = value
        path.write_bytes(damaged)
        with pytest.raises(ForeignFileError, match=message):
            NpzFile(path)['a']


def test_pickled_member_that_calls_something_is_refused(tmp_path):
    class Attack:
        def __reduce__(self):
            return print, ('ran',)

    boxed = np.empty((), object)
    boxed[()] = [Attack()]
    np.savez(tmp_path / 'a.npz', a=boxed)
    with pytest.raises(UnsafePickleError, match=r'asks for (builtins|__builtin__)\.print'):
        NpzFile(tmp_path / 'a.npz')['a']


def test_other_files_are_named(tmp_path):
    (tmp_path / 'a.npz').write_bytes(b'<html>login</html>')
    with pytest.raises(ForeignFileError, match=r'a\.npz: expected .*web page'):
        NpzFile(tmp_path / 'a.npz')
    (tmp_path / 'a.npy').write_bytes(b'version https://git-lfs.github.com/spec/v1\n')
    with pytest.raises(ForeignFileError, match=r'a\.npy: expected .*git lfs pull'):
        load_npy(tmp_path / 'a.npy')
    with zipfile.ZipFile(tmp_path / 'b.npz', 'w') as archive:
        archive.writestr('inner/basicModel.pkl', b'x')
    with pytest.raises(ForeignFileError, match=r'zip archive of basicModel\.pkl'):
        NpzFile(tmp_path / 'b.npz')
    assert load_npy(_save(tmp_path / 'c.npy')).tolist() == [0, 1]


def _save(path):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(2))
    path.write_bytes(buffer.getvalue())
    return path
