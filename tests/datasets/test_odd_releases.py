# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in a release: one line for the file, or the row is left out."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from fastmetro_mm.dataset_tools.converters.coco_smpl import CocoSMPLSource
from fastmetro_mm.dataset_tools.converters.h36m_json import Human36MSource
from fastmetro_mm.dataset_tools.converters.humandata import HumanDataSource
from fastmetro_mm.dataset_tools.converters.image_folder import ImageFolderSource
from fastmetro_mm.dataset_tools.converters.rows import row_files
from fastmetro_mm.dataset_tools.converters.up3d import UP3DSource
from fastmetro_mm.datasets import DataSetError
from tests.datasets.releases import (
    MAKERS,
    NO_MESH,
    bedlam,
    file_of,
    humandata,
    images,
    open_release,
    spin,
)


@pytest.mark.parametrize('padding', [0, -1, float('nan'), float('inf')])
def test_padding_is_refused_at_the_start(tmp_path, padding):
    images(tmp_path, '0.jpg')
    (tmp_path / 'x.json').write_text('{"images": [], "annotations": []}')
    (tmp_path / 'train.txt').write_text('')
    for build in (
        lambda: ImageFolderSource(tmp_path, padding=padding),
        lambda: CocoSMPLSource(tmp_path / 'x.json', tmp_path, NO_MESH, None, padding),
        lambda: HumanDataSource(tmp_path / 'x.npz', tmp_path, NO_MESH, padding),
        lambda: UP3DSource(tmp_path, 'train', NO_MESH, padding),
        lambda: Human36MSource(tmp_path, tmp_path, 'train', NO_MESH, padding),
    ):
        with pytest.raises(ValueError, match='padding is'):
            build()
    with pytest.raises(ValueError, match='every is 0'):
        Human36MSource(tmp_path, tmp_path, 'train', NO_MESH, every=0)


def test_archives_that_unpack_to_gigabytes(tmp_path):
    """A few kilobytes that ask for much memory are refused before they are unpacked."""
    zeros = np.zeros(70 << 20, np.uint8)
    for name, build in (
        ('image_path', humandata),
        ('bbox_xywh', humandata),
        ('imgname', spin),
        ('gtkps', bedlam),
    ):
        build(tmp_path)
        with zipfile.ZipFile(tmp_path / 'x.npz') as file:
            members = {info: file.read(info) for info in file.namelist()}
        stream = io.BytesIO()
        np.save(stream, zeros)
        with zipfile.ZipFile(tmp_path / 'x.npz', 'w', zipfile.ZIP_DEFLATED) as file:
            for member, data in {**members, f'{name}.npy': stream.getbuffer()}.items():
                file.writestr(member, data)
        assert (tmp_path / 'x.npz').stat().st_size < 300_000
        with pytest.raises(DataSetError, match=rf'{name}\]: (\d+ bytes would unpack|has shape)'):
            open_release(build.__name__, tmp_path)


_ODD = (
    None,
    0,
    -1,
    1.5,
    float('nan'),
    1e300,
    10**400,
    True,
    'x',
    b'\xff',
    '',
    [],
    [[]],
    {},
    'm',
    [1, 'a', None],
    {'a': 1},
    np.zeros(0),
    np.zeros((2, 0)),
    np.array(None),
    np.float64(2),
    np.array(['a']),
    np.full((2, 72), np.inf),
    (),
    '\udc80',
    'a\tb',
    -(2**63),
)


def _change(content, rng):
    """A copy with one leaf or branch replaced or removed."""
    if isinstance(content, dict) and content and rng.random() < 0.9:
        key = list(content)[rng.integers(len(content))]
        if rng.random() < 0.1:
            return {k: v for k, v in content.items() if k != key}
        return {**content, key: _change(content[key], rng)}
    if isinstance(content, list) and content and rng.random() < 0.7:
        place = rng.integers(len(content))
        return [*content[:place], _change(content[place], rng), *content[place + 1 :]]
    if isinstance(content, np.ndarray) and content.ndim and rng.random() < 0.5:
        return [
            content.T,
            content.ravel(),
            content[:1],
            content.astype(str),
            content.astype(object),
            content[None],
            np.full_like(content, 3),
        ][rng.integers(7)]
    return _ODD[rng.integers(len(_ODD))]


def _json_default(value):
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else repr(value)


@pytest.mark.parametrize(
    'name',
    [
        'humandata',
        'spin',
        'pw3d',
        'emdb',
        'bedlam',
        'eft',
        'coco',
        'h36m data',
        'h36m camera',
        'h36m joint_3d',
        'freihand K',
        'freihand mano',
        'freihand xyz',
        'up3d',
    ],
)
def test_odd_content_costs_a_line_or_a_row(tmp_path, name):
    rng = np.random.default_rng(1)
    release = name.split()[0]
    MAKERS[release](tmp_path)
    path = file_of(name, tmp_path)
    if path.suffix == '.npz':
        with np.load(path, allow_pickle=True) as file:  # written by this test
            content = {
                key: file[key].item() if file[key].ndim == 0 else file[key] for key in file.files
            }
    elif path.suffix == '.pkl':
        content = pickle.loads(path.read_bytes())  # written by this test
    else:
        content = json.loads(path.read_text())
    refused = left_out = rows = 0
    for _ in range(250):
        odd = _change(content, rng)
        if path.suffix == '.npz':
            if not isinstance(odd, dict):
                continue
            try:
                np.savez(path, **odd)
            except ValueError:  # numpy cannot write it
                continue
        elif path.suffix == '.pkl':
            path.write_bytes(pickle.dumps(odd, protocol=int(rng.integers(2, 5))))
        else:
            path.write_text(json.dumps(odd, default=_json_default))
        try:
            sources = open_release(release, tmp_path)
        except (ValueError, FileNotFoundError) as error:
            assert '\n' not in str(error) and str(tmp_path) in str(error), error
            refused += 1
            continue
        for source in sources:
            assert '\n' not in source.note
            for index in range(len(source)):
                assert isinstance(source.key(index), str)
                row_files(source, index)
                try:
                    row = source.row(index)
                except ValueError as error:
                    left_out += bool(str(error))
                else:
                    rows += 1
                    assert row.label['scale'] > 0 and np.isfinite(row.label['pose']).all()
    assert (refused > 10 or release in ('up3d', 'h36m')) and refused + left_out > 20
    assert rows > 5 or release == 'freihand'
