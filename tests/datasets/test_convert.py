# SPDX-License-Identifier: Apache-2.0
"""Converters, on the real Human3.6M images and on tiny made-up sources."""

import importlib.util
import json
import sys

import cv2
import numpy as np
import pytest

from fastmetro_mm.body.joint_sets import HAND21, J24
from fastmetro_mm.dataset_tools.converters.image_folder import ImageFolderSource
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.dataset_tools.converters.spin_npz import SpinNpzSource
from fastmetro_mm.datasets import DataSetError, MeshTSVDataset

PIPELINE = [
    dict(type='LoadMeshImage'),
    dict(type='MeshAugment'),
    dict(type='MeshCrop', mode='fast'),
    dict(type='PackMeshInputs'),
]


@pytest.fixture
def mini_set(shared_dir, tmp_path):
    folder = shared_dir / 'data' / 'h36m_mini'
    if not folder.is_dir():
        pytest.skip('the Human3.6M sample images are not there')
    source = SpinNpzSource(folder / 'test_h36m.npz', folder / 'images')
    return run_conversion(source, tmp_path / 'mini', 'test')


def _limb(joints: np.ndarray, a: str, b: str) -> float:
    return float(np.linalg.norm(joints[J24.index(a), :3] - joints[J24.index(b), :3]))


def test_real_h36m_images_from_npz_to_network_input(mini_set):
    assert (mini_set.num_rows, mini_set.num_skipped) == (4, 0)
    dataset = MeshTSVDataset(mini_set.yaml_path, PIPELINE, test_mode=True)
    for index in range(4):
        packed = dataset[index]
        labels = packed['data_samples'].gt_instance_labels
        joints_2d, joints_3d = labels.joints_2d[0].numpy(), labels.joints_3d[0].numpy()
        assert packed['inputs'].float().std() > 20
        assert (labels.has_smpl, labels.has_2d, labels.has_3d) == (1, 1, 1)
        seen = joints_2d[:, 2] > 0
        assert seen.sum() == 17 and np.abs(joints_2d[seen, :2]).max() < 1
        for side in 'RL':
            assert 0.40 < _limb(joints_3d, f'{side}_Hip', f'{side}_Knee') < 0.50
            assert 0.40 < _limb(joints_3d, f'{side}_Knee', f'{side}_Ankle') < 0.50
            assert 0.24 < _limb(joints_3d, f'{side}_Shoulder', f'{side}_Elbow') < 0.32
            assert 0.22 < _limb(joints_3d, f'{side}_Elbow', f'{side}_Wrist') < 0.28
        # Weak perspective: xy = s * XY + t explains the 2D joints to a few pixels of 224.
        xy, flat = joints_2d[seen, :2], joints_3d[seen, :2]
        system = np.zeros((2 * len(xy), 3))
        system[0::2, 0], system[1::2, 0] = flat[:, 0], flat[:, 1]
        system[0::2, 1] = system[1::2, 2] = 1
        fit, *_ = np.linalg.lstsq(system, xy.reshape(-1), rcond=None)
        error = np.sqrt(np.mean((system @ fit - xy.reshape(-1)) ** 2)) * 112
        assert fit[0] > 0.5 and error < 4
    # The last person faces the camera, so the right side is on the left of the image.
    assert joints_2d[J24.index('R_Hip'), 0] < joints_2d[J24.index('L_Hip'), 0]


def test_mini_set_keeps_the_numbers_of_the_npz(mini_set, shared_dir):
    arrays = np.load(shared_dir / 'data' / 'h36m_mini' / 'test_h36m.npz')
    dataset = MeshTSVDataset(mini_set.yaml_path, test_mode=True)
    for index in range(4):
        info = dataset.get_data_info(index)
        assert info['img_key'] == str(arrays['imgname'][index])
        np.testing.assert_array_equal(info['center'], arrays['center'][index])
        np.testing.assert_array_equal(info['pose'], arrays['pose'][index])
        joints = arrays['S'][index]
        np.testing.assert_allclose(info['joints_3d'][:, :3], joints[:, :3] - joints[14, :3])
        np.testing.assert_array_equal(info['joints_3d'][:, 3], joints[:, 3])


def _save_npz(path, images, count=3, **changes):
    for index in range(count - 1):  # the last image is missing
        cv2.imwrite(str(images / f'{index}.jpg'), np.full((50, 60, 3), 90, np.uint8))
    arrays = dict(
        imgname=np.array([f'sub/{i}.jpg' for i in range(count)]),
        center=np.full((count, 2), 25.0),
        scale=np.full(count, 0.2),
    )
    np.savez(path, **{**arrays, **changes})
    return path


def test_missing_keys_images_and_bad_labels_are_counted(tmp_path):
    part = np.ones((3, 24, 3))
    part[1, 0, 0] = np.nan
    path = _save_npz(tmp_path / 'x.npz', tmp_path, part=part)
    report = run_conversion(SpinNpzSource(path, tmp_path), tmp_path / 'out', 'train', workers=2)
    assert (report.num_rows, report.num_skipped) == (1, 2)
    assert sorted(report.reasons) == [
        '2d_joints holds a value that is not finite or above 1e+06',
        'image not found',
    ]
    info = MeshTSVDataset(report.yaml_path, test_mode=True).get_data_info(0)
    assert (info['has_2d'], info['has_3d'], info['has_smpl']) == (1, 0, 0)
    again = run_conversion(SpinNpzSource(path, tmp_path), tmp_path / 'again', 'train')
    assert again.checksum == report.checksum


def test_bad_npz_is_refused(tmp_path):
    for name, changes, message in (
        ('a', dict(center=np.zeros((3, 3))), r'center\]: has shape'),
        ('b', dict(gender=np.array(['m', 'f'])), '2 genders for 3 images'),
        ('e', dict(center=np.array([{}, 1, 2], dtype=object)), 'center does not hold numbers'),
    ):
        path = _save_npz(tmp_path / f'{name}.npz', tmp_path, **changes)
        with pytest.raises(DataSetError, match=message):
            SpinNpzSource(path, tmp_path)
    (tmp_path / 'c.npz').write_bytes(b'not a zip')
    with pytest.raises(DataSetError, match='but the file is a text'):
        SpinNpzSource(tmp_path / 'c.npz', tmp_path)
    np.savez(tmp_path / 'd.npz', imgname=np.array(['x']))
    with pytest.raises(DataSetError, match=r"lacks .*'center', 'scale'"):
        SpinNpzSource(tmp_path / 'd.npz', tmp_path)


def test_image_folder_with_coco_json(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.full((100, 80, 3), 90, np.uint8))
    keypoints = np.zeros((17, 3))
    keypoints[0] = (30, 20, 2)  # nose
    keypoints[5] = (50, 40, 1)  # left shoulder
    annotations = [
        dict(image_id=1, bbox=[10, 10, 40, 80], keypoints=keypoints.reshape(-1).tolist()),
        dict(image_id=1, bbox=[10, 10, 0, 80]),
        dict(image_id=2, bbox=[1, 1, 2, 2]),
        dict(image_id=1, bbox=[1, 1, 5, 5], iscrowd=1),
        dict(image_id=1, bbox=[1, 1, 5, 5], keypoints=[1, 2, 3]),
        dict(image_id=1),
    ]
    content = dict(
        images=[dict(id=1, file_name='a.jpg'), dict(id=2, file_name='b.jpg')],
        annotations=annotations,
    )
    (tmp_path / 'x.json').write_text(json.dumps(content))
    report = run_conversion(
        ImageFolderSource(tmp_path, tmp_path / 'x.json'), tmp_path / 'out', 'train'
    )
    assert (report.num_rows, report.num_skipped) == (1, 5) and len(report.reasons) == 5
    info = MeshTSVDataset(report.yaml_path, test_mode=True).get_data_info(0)
    assert info['center'].tolist() == [30, 50] and info['scale'] == pytest.approx(0.48)
    assert info['joints_2d'][J24.index('Nose')].tolist() == [30, 20, 1]
    assert info['joints_2d'][J24.index('L_Shoulder')].tolist() == [50, 40, 1]
    assert info['joints_2d'][:, 2].sum() == 2
    (tmp_path / 'y.json').write_text('[1]')
    with pytest.raises(DataSetError, match='COCO-style'):
        ImageFolderSource(tmp_path, tmp_path / 'y.json')


def test_image_folder_without_json_and_hands(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((100, 80, 3), 90, np.uint8))
    report = run_conversion(ImageFolderSource(tmp_path), tmp_path / 'out', 'train')
    assert MeshTSVDataset(report.yaml_path).get_data_info(0)['center'].tolist() == [40, 50]
    content = dict(
        images=[dict(id=1, file_name='a.png')],
        annotations=[dict(image_id=1, bbox=[0, 0, 80, 80], keypoints=list(range(1, 64)))],
    )
    (tmp_path / 'x.json').write_text(json.dumps(content))
    source = ImageFolderSource(tmp_path, tmp_path / 'x.json', body='hand')
    report = run_conversion(source, tmp_path / 'hand', 'train')
    joints = MeshTSVDataset(report.yaml_path, body='hand').get_data_info(0)['joints_2d']
    assert joints.shape == (len(HAND21), 3) and joints[1].tolist() == [4, 5, 1]


def _run_tool(repo_dir, monkeypatch, *args) -> int:
    spec = importlib.util.spec_from_file_location('convert', repo_dir / 'tools/dataset/convert.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(sys, 'argv', ['convert.py', *map(str, args)])
    return tool.main()


def test_command_line(repo_dir, tmp_path, monkeypatch, capsys):
    npz = _save_npz(tmp_path / 'x.npz', tmp_path)
    args = ('--images', tmp_path, '--out', tmp_path / 'out')
    assert _run_tool(repo_dir, monkeypatch, 'spin-npz', '--in', npz, *args) == 0
    out = capsys.readouterr().out
    assert '2 rows, 1 skipped, sha256' in out and 'skipped 1: image not found' in out
    assert _run_tool(repo_dir, monkeypatch, 'spin-npz', '--in', 'gone.npz', *args) == 1
    error = capsys.readouterr().err
    assert error == 'error: gone.npz not found: give the npz file with --in\n'


def test_every_converter_explains_itself(repo_dir, monkeypatch, capsys):
    for name in (
        'images',
        'spin-npz',
        '3dpw',
        'freihand',
        'h36m',
        'humandata',
        'pose2mesh',
        'neuralannot',
        'eft',
        'emdb',
        'bedlam',
        'up3d',
        'shrink',
        'mixed',
    ):
        with pytest.raises(SystemExit, match='0'):
            _run_tool(repo_dir, monkeypatch, name, '--help')
        out = capsys.readouterr().out
        assert '--in' in out and '--out' in out and '--split' in out
        assert name == 'mixed' or ('--limit' in out and '--workers' in out)
