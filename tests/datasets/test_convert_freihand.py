# SPDX-License-Identifier: Apache-2.0
"""FreiHAND from a tiny copy of its layout, and the real sample images of the four versions."""

import json

import cv2
import numpy as np
import pytest

from fastmetro_mm.dataset_tools.converters.freihand import FREIHAND_TIPS, TIP_ROWS, FreiHANDSource
from fastmetro_mm.dataset_tools.converters.image_folder import ImageFolderSource
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.datasets import DataSetError, HandMeshTSVDataset

INTRINSICS = [[480.0, 0, 112], [0, 480, 112], [0, 0, 1]]


@pytest.fixture
def freihand(tmp_path, write_image):
    """Folder with two hands in four versions and two evaluation hands; their joints."""
    rng = np.random.default_rng(1)
    xyz = rng.normal((0, 0, 0.7), 0.03, (2, 21, 3))
    mano = rng.normal(0, 0.3, (2, 1, 61))
    for split in ('training', 'evaluation'):
        (tmp_path / f'{split}_K.json').write_text(json.dumps([INTRINSICS] * 2))
        for number in range(8 if split == 'training' else 2):
            write_image(tmp_path / split / 'rgb' / f'{number:08d}.jpg', 224, 224)
    (tmp_path / 'training_xyz.json').write_text(json.dumps(xyz.tolist()))
    (tmp_path / 'training_mano.json').write_text(json.dumps(mano.tolist()))
    return tmp_path, xyz, mano


def test_training_labels_repeat_for_every_version(freihand, tmp_path):
    root, xyz, mano = freihand
    report = run_conversion(FreiHANDSource(root), tmp_path / 'out', 'train', workers=2)
    assert report.num_rows == 8
    dataset = HandMeshTSVDataset(report.yaml_path, test_mode=True)
    for index in range(8):
        info = dataset.get_data_info(index)
        hand = xyz[index % 2]
        assert info['img_key'] == f'{index:08d}.jpg'
        assert info['center'].tolist() == [112, 112] and info['scale'] == 0.9
        np.testing.assert_allclose(info['joints_3d'][:, :3], hand - hand[0])
        np.testing.assert_allclose(info['joints_2d'][:, :2], 480 * hand[:, :2] / hand[:, 2:] + 112)
        np.testing.assert_array_equal(info['pose'], mano[index % 2, 0, :48])
        np.testing.assert_array_equal(info['betas'], mano[index % 2, 0, 48:58])
        assert (info['has_smpl'], info['has_2d'], info['has_3d']) == (1, 1, 1)
    some = FreiHANDSource(root, versions=['auto', 'gs'])
    assert [some.key(i) for i in range(4)] == [
        f'{i:08d}.jpg' for i in (0, 1, 6, 7)
    ]  # file number = label + count * version


def test_evaluation_with_and_without_released_labels(freihand):
    root, xyz, _ = freihand
    source = FreiHANDSource(root, 'evaluation')
    label = source.row(1).label
    assert 'box only' in source.note and len(source) == 2
    assert (label['has_smpl'], label['has_2d_joints'], label['has_3d_joints']) == (0, 0, 0)
    (root / 'evaluation_xyz.json').write_text(json.dumps(xyz.tolist()))
    verts = np.zeros((2, 778, 3))
    verts[:, FREIHAND_TIPS] = xyz[:, TIP_ROWS]
    (root / 'evaluation_verts.json').write_text(json.dumps(verts.tolist()))
    label = FreiHANDSource(root, 'evaluation').row(1).label
    assert (label['has_smpl'], label['has_2d_joints'], label['has_3d_joints']) == (0, 1, 1)
    np.testing.assert_allclose(np.array(label['3d_joints'])[:, :3], xyz[1] - xyz[1, 0])
    # meshes of other hands, or in another vertex order
    (root / 'evaluation_verts.json').write_text(json.dumps(verts[::-1].tolist()))
    with pytest.raises(DataSetError, match='fingertips lie up to'):
        FreiHANDSource(root, 'evaluation')


def test_bad_files(freihand, write_image):
    root, xyz, _ = freihand
    write_image(root / 'training' / 'rgb' / '00000001.jpg', 200, 224)
    (root / 'training' / 'rgb' / '00000002.jpg').unlink()
    source = FreiHANDSource(root)
    with pytest.raises(ValueError, match='not 224x224'):
        source.row(1)
    with pytest.raises(ValueError, match='image not found'):
        source.row(2)
    for text, error, message in (
        (json.dumps(xyz[:1].tolist()), DataSetError, r'\[1, 2\] entries'),
        ('[[1, 2', DataSetError, 'not json'),
        ('[["a"]]', DataSetError, 'does not hold numbers'),
        (None, FileNotFoundError, 'training_xyz.json not found'),
    ):
        path = root / 'training_xyz.json'
        path.unlink() if text is None else path.write_text(text)
        with pytest.raises(error, match=message):
            FreiHANDSource(root)


def test_real_images_with_their_coco_json(shared_dir, tmp_path):
    folder = shared_dir / 'data' / 'freihand_mini'
    if not folder.is_dir():
        pytest.skip('the FreiHAND sample images are not there')
    source = ImageFolderSource(folder, folder / 'test_freihand.json', body='hand')
    report = run_conversion(source, tmp_path / 'out', 'test')
    assert report.num_rows == 8
    dataset = HandMeshTSVDataset(report.yaml_path, test_mode=True)
    seen = {}
    for index in range(8):
        info = dataset.get_data_info(index)
        points = info['joints_2d']
        assert (points[:, 2] == 1).all() and (points[:, :2] > 0).all()
        image = cv2.imdecode(np.frombuffer(info['img_bytes'], np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (224, 224, 3)
        # the four versions of a hand share its labels: numbers differ by 32,560
        seen.setdefault(int(info['img_key'][:-4]) % 32560, []).append(points)
    assert sorted(map(len, seen.values())) == [4, 4]
    for versions in seen.values():
        for other in versions[1:]:
            np.testing.assert_allclose(other, versions[0], atol=0.01)
