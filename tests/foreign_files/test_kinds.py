# SPDX-License-Identifier: Apache-2.0
"""Files are told apart by their first bytes, whatever they are called."""

import gzip
import io
import json
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from fastmetro_mm.foreign_files.kinds import recognise, sentence


def _zip_of(name, content=b'x'):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def _saved(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _safetensors():
    header = json.dumps({'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}}).encode()
    return len(header).to_bytes(8, 'little') + header + bytes(4)


def _tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        archive.addfile(tarfile.TarInfo('weights.pth'), io.BytesIO())
    return buffer.getvalue()


def _script():
    return _saved(lambda f: torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), f))


LFS = b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n'
CASES = {
    'empty': (b'', 'is empty'),
    'zeros': (bytes(1000), 'zero bytes only'),
    'lfs': (LFS, 'git lfs pull'),
    'html': (b'<!-- x -->\n<HTML><head><title>Sign in</title>', 'web page'),
    'xml': (b'<?xml version="1.0"?><Error><Code>AccessDenied', 'XML'),
    'gzip': (gzip.compress(b'x'), 'gunzip'),
    'tar': (_tar(), 'tar -xf'),
    'zip': (_zip_of('folder/weights.pth'), 'a zip archive of weights.pth: unpack it'),
    'zip cut': (_zip_of('weights.pth', bytes(100))[:60], 'truncated'),
    'npz': (_saved(lambda f: np.savez(f, a=np.zeros(2))), 'npz'),
    'npy': (_saved(lambda f: np.save(f, np.zeros(2))), 'npy'),
    'torch': (_saved(lambda f: torch.save({}, f)), 'torch checkpoint'),
    'old torch': (
        _saved(lambda f: torch.save({}, f, _use_new_zipfile_serialization=False)),
        'before 1.6',
    ),
    'torchscript': (_script, 'state_dict()'),
    'safetensors': (_safetensors(), 'safetensors'),
    'pickle': (pickle.dumps({}, protocol=4), 'pickle'),
    'json': (b'\xef\xbb\xbf {"a": 1}', 'JSON'),
    'text': ('Grüße, keine Datei'.encode(), 'a text'),
    'hdf5': (b'\x89HDF\r\n\x1a\nxxxx', 'HDF5'),
    'unknown': (bytes(range(200, 256)), 'no kind that is known'),
}


@pytest.mark.parametrize('kind', CASES)
@pytest.mark.filterwarnings('ignore:`torch.jit')
def test_first_bytes_decide(tmp_path, kind):
    content, said = CASES[kind]
    path = tmp_path / 'model.pth'
    path.write_bytes(content() if callable(content) else content)
    assert recognise(path) == kind
    assert said in sentence(kind, path) and '\n' not in sentence(kind, path)


def test_old_formats_with_newer_protocols(tmp_path):
    for protocol in (2, 3, 4, 5):
        torch.save(
            {}, tmp_path / 'a.pth', pickle_protocol=protocol, _use_new_zipfile_serialization=False
        )
        assert recognise(tmp_path / 'a.pth') == 'old torch'


def test_text_cut_inside_a_character(tmp_path):
    (tmp_path / 'a').write_bytes(('a' + 'ü' * 400).encode())
    assert recognise(tmp_path / 'a') == 'text'
    (tmp_path / 'a').write_bytes('{"ü": 1}'.encode('utf-16'))
    assert recognise(tmp_path / 'a') == 'json'
