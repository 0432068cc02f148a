# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in a release: one line for the file, or the row is left out."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from fastmetro_mm.dataset_tools.converters.bedlam import BedlamSource
from fastmetro_mm.dataset_tools.converters.coco_smpl import CocoSMPLSource
from fastmetro_mm.dataset_tools.converters.eft import EFTSource
from fastmetro_mm.dataset_tools.converters.emdb import EMDBSource
from fastmetro_mm.dataset_tools.converters.freihand import FreiHANDSource
from fastmetro_mm.dataset_tools.converters.h36m_json import Human36MSource
from fastmetro_mm.dataset_tools.converters.humandata import HumanDataSource
from fastmetro_mm.dataset_tools.converters.image_folder import ImageFolderSource
from fastmetro_mm.dataset_tools.converters.rows import row_files
from fastmetro_mm.dataset_tools.converters.spin_npz import SpinNpzSource
from fastmetro_mm.dataset_tools.converters.threedpw import ThreeDPWSource
from fastmetro_mm.dataset_tools.converters.up3d import UP3DSource
from fastmetro_mm.datasets import DataSetError
from tests.datasets.releases import (
    BETAS,
    NO_MESH,
    POSES,
    RNG,
    bedlam,
    eft,
    emdb,
    freihand,
    humandata,
    images,
    pw3d,
    spin,
    up3d,
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
        source = dict(
            humandata=lambda: HumanDataSource(tmp_path / 'x.npz', tmp_path, NO_MESH),
            spin=lambda: SpinNpzSource(tmp_path / 'x.npz', tmp_path),
            bedlam=lambda: BedlamSource(tmp_path / 'x.npz', tmp_path, NO_MESH),
        )
        with pytest.raises(DataSetError, match=rf'{name}\]: (\d+ bytes would unpack|has shape)'):
            source[build.__name__]()


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


def h36m(root):
    images(root, '0.jpg')
    info = dict(id=1, file_name='0.jpg', cam_idx=4, frame_idx=0, action_idx=2, subaction_idx=1)
    parts = dict(
        data=dict(images=[info], annotations=[dict(id=1, image_id=1, bbox=[1, 2, 30, 40])] * 2),
        camera={'4': dict(R=np.eye(3).tolist(), t=[0, 0, 4000], f=[100, 100], c=[112, 112])},
        joint_3d={'2': {'1': {'0': RNG.uniform(0, 500, (17, 3)).tolist()}}},
    )
    for subject in (9, 11):
        for part, content in parts.items():
            (root / f'Human36M_subject{subject}_{part}.json').write_text(json.dumps(content))
    return Human36MSource(root, root, 'protocol2', NO_MESH)


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
    name, _, part = name.partition(' ')
    builders = dict(
        humandata=humandata,
        spin=spin,
        pw3d=pw3d,
        emdb=emdb,
        bedlam=bedlam,
        eft=eft,
        h36m=h36m,
        freihand=freihand,
        up3d=lambda root: up3d(root, POSES[0], BETAS[0, :10]),
    )
    if name in builders:
        builders[name](tmp_path)
    files = dict(
        humandata='x.npz',
        spin='x.npz',
        bedlam='x.npz',
        eft='x.json',
        coco='x.json',
        pw3d='sequenceFiles/train/s.pkl',
        emdb='P0/a/P0_a_data.pkl',
        h36m=f'Human36M_subject9_{part}.json',
        freihand=f'training_{part}.json',
        up3d='00000_body.pkl',
    )
    path = tmp_path / files[name]
    if name == 'coco':
        images(tmp_path, '0.jpg')
        content = dict(
            images=[dict(id=1, file_name='0.jpg', cam_param=dict(focal=[1, 1], princpt=[0, 0]))],
            annotations=[
                dict(
                    id=i,
                    image_id=1,
                    bbox=[1, 2, 30, 40],
                    category_id=1,
                    keypoints=[1, 2, 2] * 17,
                    smpl_param=dict(pose=[0.1] * 72, shape=[0] * 10, trans=[0, 0, 1], gender='m'),
                )
                for i in range(2)
            ],
            categories=[dict(id=1, name='person', keypoints=None)],
        )
    elif path.suffix == '.npz':
        with np.load(path, allow_pickle=True) as file:  # written by this test
            content = {
                key: file[key].item() if file[key].ndim == 0 else file[key] for key in file.files
            }
    elif path.suffix == '.pkl':
        content = pickle.loads(path.read_bytes())  # written by this test
    else:
        content = json.loads(path.read_text())
    open_source = dict(
        humandata=lambda: HumanDataSource(path, tmp_path, NO_MESH),
        spin=lambda: SpinNpzSource(path, tmp_path),
        eft=lambda: EFTSource(path, tmp_path, NO_MESH),
        bedlam=lambda: BedlamSource(path, tmp_path, NO_MESH),
        pw3d=lambda: ThreeDPWSource(tmp_path, 'train', NO_MESH, 'spin'),
        emdb=lambda: EMDBSource(tmp_path, 'emdb1', NO_MESH),
        coco=lambda: [ImageFolderSource(tmp_path, path), CocoSMPLSource(path, tmp_path, NO_MESH)],
        h36m=lambda: Human36MSource(tmp_path, tmp_path, 'protocol2', NO_MESH),
        freihand=lambda: FreiHANDSource(tmp_path, 'training', ['gs']),
        up3d=lambda: UP3DSource(tmp_path, 'trainval', NO_MESH),
    )[name]
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
            sources = open_source()
        except (ValueError, FileNotFoundError) as error:
            assert '\n' not in str(error) and str(tmp_path) in str(error), error
            refused += 1
            continue
        for source in sources if isinstance(sources, list) else [sources]:
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
    assert (refused > 10 or name in ('up3d', 'h36m')) and refused + left_out > 20
    assert rows > 5 or name == 'freihand'
