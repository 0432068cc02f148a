# SPDX-License-Identifier: Apache-2.0
"""Interrupted conversions go on; damaged releases end in one known error."""

import json
import pickle

import cv2
import numpy as np
import pytest

from fastmetro_mm.dataset_tools.converters import run
from fastmetro_mm.dataset_tools.converters.bedlam import BedlamSource
from fastmetro_mm.dataset_tools.converters.eft import EFTSource
from fastmetro_mm.dataset_tools.converters.emdb import EMDBSource
from fastmetro_mm.dataset_tools.converters.humandata import HumanDataSource
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.spin_npz import SpinNpzSource
from fastmetro_mm.dataset_tools.converters.threedpw import ThreeDPWSource
from fastmetro_mm.datasets import MeshTSVDataset
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow

NO_MESH = MeshJoints('none')
JPEG = cv2.imencode('.jpg', np.full((20, 30, 3), 90, np.uint8))[1].tobytes()


class _Source:
    """Seven rows; can break down at one of them."""

    def __init__(self, breaks_at=None):
        self.breaks_at = breaks_at
        self.made = []

    def __len__(self):
        return 7

    def describe(self):
        return {'source': 'test'}

    def key(self, index):
        return f'{index}.jpg'

    def row(self, index):
        if index == self.breaks_at:
            raise OSError('the disk is gone')
        if index == 2:
            raise run.SkipRow('not good')
        self.made.append(index)
        return TSVRow(self.key(index), JPEG, make_label((5, 5), 0.1 + index))


@pytest.mark.parametrize('workers', [1, 2])
def test_interrupted_conversion_goes_on(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(run, '_SHARD_ROWS', 2)
    with pytest.raises(OSError, match='disk'):
        run.run_conversion(_Source(breaks_at=5), tmp_path / 'a', 'train', workers=workers)
    assert not (tmp_path / 'a' / 'train.yaml').exists()  # no half of a set
    with pytest.raises(ValueError, match='other arguments'):
        run.run_conversion(_Source(), tmp_path / 'a', 'train', limit=3)
    again, steps = _Source(), []
    report = run.run_conversion(
        again, tmp_path / 'a', 'train', progress=lambda done, total: steps.append((done, total))
    )
    if workers == 1:
        assert again.made == [4, 5, 6]  # rows 0 to 3 were there
    assert steps[-1] == (7, 7)
    assert (report.num_rows, report.num_skipped, report.reasons) == (6, 1, {'not good': 1})
    whole = run.run_conversion(_Source(), tmp_path / 'b', 'train', workers=workers)
    assert whole.checksum == report.checksum
    keys = [MeshTSVDataset(report.yaml_path).get_data_info(i)['img_key'] for i in range(6)]
    assert keys == [f'{i}.jpg' for i in (0, 1, 3, 4, 5, 6)]
    assert (tmp_path / 'a' / 'train.skipped.tsv').read_text() == '2.jpg\tnot good\n'
    few = run.run_conversion(_Source(), tmp_path / 'c', 'train', limit=2)
    assert few.num_rows == 2


def _damage(data: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(data)))
        if rng.integers(3):
            data[at] = rng.integers(256)
        elif rng.integers(4):
            del data[at : at + int(rng.integers(1, 20))]
        else:
            del data[at:]
    return bytes(data) or b'x'


def _use_all_rows(source) -> None:
    for index in range(len(source)):
        try:
            label = source.row(index).label
        except ValueError:
            continue
        for name in ('center', '2d_joints', '3d_joints', 'pose', 'betas'):
            assert np.isfinite(label[name]).all()


def _emdb(root):
    frames = 2
    smpl = dict(
        poses_root=np.zeros((frames, 3)),
        poses_body=np.zeros((frames, 69)),
        trans=np.zeros((frames, 3)),
        betas=np.zeros(10),
    )
    content = dict(
        gender='male',
        emdb1=True,
        emdb2=True,
        n_frames=frames,
        smpl=smpl,
        good_frames_mask=np.ones(frames, bool),
        camera=dict(intrinsics=np.eye(3), extrinsics=np.stack([np.eye(4)] * frames)),
        bboxes=dict(bboxes=np.array([[1, 1, 9, 9.0]] * frames), invalid_idxs=[]),
    )
    path = root / 'P0' / 'a' / 'P0_a_data.pkl'
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(content))
    return path, lambda: EMDBSource(root, 'emdb1', NO_MESH)


def _humandata(root):
    path = root / 'x.npz'
    # not compressed: damage reaches the content instead of a checksum of the zip alone
    np.savez(
        path,
        image_path=['0.jpg', '1.jpg'],
        bbox_xywh=np.ones((2, 5)),
        smpl=dict(
            body_pose=np.zeros((2, 69)), global_orient=np.zeros((2, 3)), betas=np.zeros((2, 10))
        ),
        meta=dict(gender=['m', 'f']),
    )
    return path, lambda: HumanDataSource(path, root, NO_MESH)


def _eft(root):
    path = root / 'x.json'
    entry = dict(
        parm_pose=np.zeros((24, 9)).tolist(),
        parm_shape=[0] * 10,
        bbox_scale=1.0,
        bbox_center=[5, 5],
        imageName='0.jpg',
        smpltype='smpl',
    )
    path.write_text(json.dumps(dict(ver=1, data=[entry, entry])))
    return path, lambda: EFTSource(path, root, NO_MESH)


def _spin(root):
    path = root / 'y.npz'
    np.savez(
        path,
        imgname=['0.jpg', '1.jpg'],
        center=np.ones((2, 2)),
        scale=np.ones(2),
        S=np.ones((2, 24, 4)),
    )
    return path, lambda: SpinNpzSource(path, root)


def _pw3d(root):
    content = dict(
        sequence='s',
        genders=['m'],
        cam_poses=np.stack([np.eye(4)] * 2),
        cam_intrinsics=np.eye(3),
        betas=[np.zeros(10)],
        trans=[np.ones((2, 3))],
        poses=[np.zeros((2, 72))],
        jointPositions=[np.ones((2, 72))],
        poses2d=[np.ones((2, 3, 18))],
        campose_valid=[np.ones(2)],
    )
    path = root / 'sequenceFiles' / 'train' / 's.pkl'
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
    (root / 'imageFiles' / 's').mkdir(parents=True)
    for frame in range(2):
        (root / 'imageFiles' / 's' / f'image_{frame:05d}.jpg').write_bytes(JPEG)
    return path, lambda: ThreeDPWSource(root, 'train', NO_MESH, 'spin')


def _bedlam(root):
    path = root / 'z.npz'
    np.savez(
        path,
        imgname=['0.jpg', '1.jpg'],
        center=np.ones((2, 2)),
        scale=np.ones(2),
        pose_cam=np.zeros((2, 72)),
        shape=np.zeros((2, 10)),
        gtkps=np.ones((2, 24, 2)),
    )
    return path, lambda: BedlamSource(path, root, NO_MESH)


@pytest.mark.parametrize('make', [_emdb, _humandata, _eft, _spin, _pw3d, _bedlam])
def test_damaged_releases_end_in_one_clear_error(tmp_path, make):
    rng = np.random.default_rng(0)
    path, build = make(tmp_path)
    for name in ('0.jpg', '1.jpg', 'P0/a/images/00000.jpg'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(JPEG)
    original, refused = path.read_bytes(), 0
    _use_all_rows(build())
    for _ in range(300):
        path.write_bytes(_damage(original, rng))
        try:
            source = build()
        except (ValueError, FileNotFoundError) as error:
            refused += 1
            assert '\n' not in str(error) and str(tmp_path) in str(error)
        else:
            _use_all_rows(source)
    assert refused > 30
