# SPDX-License-Identifier: Apache-2.0
"""Releases in other layouts: read right where they are known, refused by name where not."""

import numpy as np
import pytest

from fastmetro_mm.dataset_tools.converters.humandata import HumanDataSource
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.datasets import DataSetError
from tests.datasets.releases import (
    BETAS,
    JPEG,
    NO_MESH,
    POSES,
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


def labels(source):
    return [source.row(index).label for index in range(len(source))]


@pytest.mark.parametrize('size', [10, 11, 16, 300])
def test_humandata_layouts_that_are_known(tmp_path, size):
    source = humandata(
        tmp_path,
        dict(
            betas=BETAS[:, :size],
            body_pose=POSES[:, 3:].reshape(3, 23, 3),
            global_orient=POSES[:, None, :3],
        ),
    )
    for index, label in enumerate(labels(source)):
        assert label['pose'] == POSES[index].tolist()
        assert label['betas'] == BETAS[index, :10].tolist()
    assert (f'of {size} betas the first 10' in source.note) == (size > 10)
    one = humandata(tmp_path, dict(betas=BETAS[:1, :size]))
    assert [label['betas'] for label in labels(one)] == [BETAS[0, :10].tolist()] * 3


@pytest.mark.parametrize(
    'smpl',
    [
        dict(betas=BETAS[:, :10].T),
        dict(betas=BETAS[:, :10].reshape(6, 5)),
        dict(betas=np.zeros((2, 10))),
        dict(betas=np.zeros((3, 9))),
        dict(body_pose=POSES[:, 3:].T),
        dict(body_pose=POSES[:, 3:].reshape(3, 3, 23)),
        dict(global_orient=POSES[:, :3].reshape(9)),
        dict(global_orient=np.array(['a'] * 3)),
    ],
)
def test_humandata_layouts_that_are_not(tmp_path, smpl):
    with pytest.raises(DataSetError, match=r'x.npz: smpl does not fit the 3 images: \w+'):
        humandata(tmp_path, smpl)


@pytest.mark.parametrize(
    ('genders', 'expected'),
    [
        ([b'male', b'Female', b'n'], ['male', 'female', 'neutral']),
        (np.array(['MALE', 'f', 'neutral']), ['male', 'female', 'neutral']),
        ('female', ['female'] * 3),
    ],
)
def test_humandata_genders(tmp_path, genders, expected):
    source = humandata(tmp_path, meta=dict(gender=genders))
    assert [label['gender'] for label in labels(source)] == expected
    report = run_conversion(
        humandata(tmp_path, meta=dict(gender=['m', 'robot', 1])), tmp_path / 'out', 'train'
    )
    assert (report.num_rows, report.num_skipped) == (1, 2)
    with pytest.raises(DataSetError, match='2 genders for 3 images'):
        humandata(tmp_path, meta=dict(gender=['m', 'f']))


def test_humandata_paths(tmp_path):
    images(tmp_path, 'in/0.jpg')
    (tmp_path / 'secret.jpg').write_bytes(JPEG)
    names = np.array([b'sub\\1.jpg', b'../secret.jpg', str(tmp_path / 'secret.jpg').encode()])
    images(tmp_path, 'in/sub/1.jpg')
    humandata(tmp_path, image_path=names)
    source = HumanDataSource(tmp_path / 'x.npz', tmp_path / 'in', NO_MESH)
    assert source.row(0).key == 'sub/1.jpg'
    for index in (1, 2):
        with pytest.raises(ValueError, match='leads out of the image folder'):
            source.row(index)


@pytest.mark.parametrize(
    'boxes',
    [
        np.ones((3, 3)),
        np.ones(3),
        np.array([None] * 3),
        np.ones((4, 3)),
        np.float64(3),
        np.array(['a'] * 3),
    ],
)
def test_humandata_boxes_of_other_shapes(tmp_path, boxes):
    with pytest.raises(DataSetError, match='bbox_xywh'):
        humandata(tmp_path, bbox_xywh=boxes)


def test_humandata_without_a_mesh_says_so(tmp_path):
    humandata(tmp_path)
    np.savez(tmp_path / 'x.npz', image_path=['0.jpg'], bbox_xywh=np.full((1, 5), 9.0), smpl={})
    source = HumanDataSource(tmp_path / 'x.npz', tmp_path, NO_MESH)
    assert source.note.endswith('has no smpl parameters: has_smpl is 0')
    assert source.row(0).label['has_smpl'] == 0
    for changes, message in (
        (dict(smpl=np.ones(3)), 'smpl is no dict'),
        (dict(smpl=dict(betas=BETAS)), 'smpl has no global_orient'),
        (dict(meta=np.ones(3)), 'meta is no dict'),
        (dict(keypoints2d=np.ones((3, 190, 3)), __keypoints_compressed__=np.ones(2)), 'compressed'),
    ):
        content = dict(image_path=['0.jpg'] * 3, bbox_xywh=np.ones((3, 5)))
        np.savez(tmp_path / 'x.npz', **{**content, **changes})
        with pytest.raises(DataSetError, match=rf'x\.npz.*{message}'):
            HumanDataSource(tmp_path / 'x.npz', tmp_path, NO_MESH)


def test_spin_layouts(tmp_path):
    source = spin(
        tmp_path,
        shape=BETAS[:, :16],
        imgname=np.array([b'0.jpg', b'sub\\1.jpg', '']),
        gender=np.array([b'm', b'F', b'x']),
        scale=np.array([1, -1, 1.0]),
    )
    label = source.row(0).label
    assert label['betas'] == BETAS[0, :10].tolist() and label['gender'] == 'male'
    assert 'of 16 betas the first 10' in source.note and source.key(1) == 'sub/1.jpg'
    for index, message in ((1, 'scale -1'), (2, 'gender is')):
        with pytest.raises(ValueError, match=message):
            source.row(index)
    with pytest.raises(ValueError, match='not found'):
        spin(tmp_path, imgname=['../../x.jpg', '', 'gone']).row(0)
    assert spin(tmp_path, imgname=['/far/away/0.jpg', '', '']).row(0).image == JPEG  # as before
    for changes, message in (
        (dict(shape=BETAS[:, :10].T), r'shape\]: has shape'),
        (dict(pose=POSES.T), r'pose\]: has'),
        (dict(has_smpl=np.array([1, np.nan, 0])), 'has_smpl'),
        (dict(center=np.ones((2, 3))), r'center\]: has shape'),
        (dict(imgname='a.jpg'), 'center'),
        (dict(imgname=np.ones((3, 3))), 'imgname is not a list'),
    ):
        with pytest.raises(DataSetError, match=message):
            spin(tmp_path, **changes)


def test_threedpw_layouts(tmp_path):
    source = pw3d(tmp_path, genders=[b'Male', 'female'])
    first, second = source.row(0).label, source.row(2).label
    assert (first['gender'], second['gender']) == ('male', 'female')
    assert first['betas'] == BETAS[0, :10].tolist() and second['betas'] == BETAS[1, :10].tolist()
    assert 'of 16 or 300 betas the first 10' in source.note
    for changes, message in (
        (dict(genders=['m', 'x']), "gender is 'x'"),
        (dict(genders=None), 'lacks genders'),
        (dict(cam_poses=np.zeros((2, 16))), r'cam_poses has shape \(2, 16\)'),
        (dict(cam_intrinsics=np.zeros(9)), 'cam_intrinsics has shape'),
        (dict(betas=[BETAS[0, :9], BETAS[0]]), 'betas has shape'),
        (dict(betas=[BETAS[:, :10], BETAS[0]]), 'betas has shape'),
        (dict(poses=[np.zeros((72, 2))] * 2), 'poses has shape'),
        (dict(campose_valid=[np.zeros(2)] * 2), 'no frame has a valid camera'),
        (dict(campose_valid=[np.array([1, np.nan])] * 2), 'campose_valid holds'),
        (dict(trans=3), 's.pkl'),
        (dict(sequence=7), 'sequence is not text'),
    ):
        with pytest.raises(DataSetError, match=message):
            pw3d(tmp_path, **changes)


def test_threedpw_empty_arrays_of_python_3(tmp_path):
    """Python 3 writes an empty array's bytes as a call of ``__builtin__.bytes``."""
    source = pw3d(tmp_path, texture_maps=[np.zeros(0), b''])
    assert source.row(0).label['gender'] == 'male'


def test_emdb_layouts(tmp_path):
    for gender in (b'male', 'Male', 'm', np.str_('male')):
        assert emdb(tmp_path, gender=gender).row(0).label['gender'] == 'male'
    source = emdb(tmp_path, dict(betas=BETAS[:1, :16], poses_body=POSES[:2, 3:].reshape(2, 23, 3)))
    assert source.row(1).label['betas'] == BETAS[0, :10].tolist()
    assert source.row(1).label['pose'][3:] == POSES[1, 3:].tolist()
    assert 'of 16 betas' in source.note
    for smpl, changes, message in (
        ({}, dict(gender='robot'), 'gender is'),
        ({}, dict(gender=1), 'gender is'),
        (dict(betas=BETAS[:2, :10]), {}, 'betas has shape'),
        (dict(betas=BETAS[:2, :5]), {}, 'betas has shape'),
        (dict(poses_body=POSES[:2, 3:].T), {}, 'poses_body has shape'),
        (dict(trans=np.zeros(6)), {}, 'trans has shape'),
        (
            {},
            dict(camera=dict(intrinsics=np.zeros(9), extrinsics=np.zeros((2, 4, 4)))),
            'intrinsics has shape',
        ),
        ({}, dict(n_frames=float('inf')), 'OverflowError'),
        ({}, dict(camera=None), 'P0_a_data'),
    ):
        with pytest.raises(DataSetError, match=message):
            emdb(tmp_path, smpl, **changes)


def test_freihand_layouts(tmp_path):
    source, xyz = freihand(tmp_path)
    label = source.row(1).label
    assert label['pose'] == list(np.arange(61.0, 109)) and label['betas'] == list(
        np.arange(109.0, 119)
    )
    np.testing.assert_allclose(np.array(label['3d_joints'])[:, :3], xyz[1] - xyz[1, 0])
    flat, _ = freihand(tmp_path, mano=np.arange(122.0).reshape(2, 61).tolist())
    assert flat.row(1).label == label | {
        '3d_joints': flat.row(1).label['3d_joints'],
        '2d_joints': flat.row(1).label['2d_joints'],
    }
    camera = np.array([[480, 0, 112], [0, 480, 112], [0, 0, 1.0]])
    for changes, message in (
        (dict(xyz=(1000 * xyz).tolist()), r'xyz.json: a joint lies .*metres'),
        (dict(K=[camera.T.tolist()] * 2), 'K.json: entry 0 is not a camera matrix'),
        (dict(K=[camera.ravel().tolist()] * 2), r'K.json has shape \(2, 9\)'),
        (dict(mano=np.zeros(122).tolist()), r'mano.json has shape \(122,\)'),
        (dict(mano=np.zeros((61, 2)).tolist()), r'mano.json has shape'),
        (dict(xyz=xyz.reshape(2, 63).tolist()), 'xyz.json has shape'),
        (dict(xyz=np.full((2, 21, 3), np.nan).tolist()), 'finite'),
        (dict(xyz='x'), 'does not hold numbers'),
    ):
        with pytest.raises(DataSetError, match=message):
            freihand(tmp_path, **changes)


def test_up3d_layouts(tmp_path):
    for pose, betas in (
        (POSES[0], BETAS[0, :10]),
        (POSES[0].reshape(24, 3), BETAS[0, :16]),
        (POSES[:1], BETAS[:1, :300]),
    ):
        label = up3d(tmp_path, pose, betas).row(0).label
        assert label['pose'] == POSES[0].tolist() and label['betas'] == BETAS[0, :10].tolist()
    for pose, betas, message in (
        (POSES[0].reshape(3, 24), BETAS[0, :10], 'pose has shape'),
        (POSES[0], BETAS[0, :5], 'betas has shape'),
        (POSES[0], BETAS[:, :10], 'betas has shape'),
    ):
        with pytest.raises(ValueError, match=message):
            up3d(tmp_path, pose, betas).row(0)


def test_bedlam_layouts(tmp_path):
    source = bedlam(tmp_path)
    assert [source.row(i).label['gender'] for i in (0, 1)] == ['female', 'male']
    assert source.row(1).label['betas'] == BETAS[1, :10].tolist()
    assert 'of 11 betas' in source.note
    with pytest.raises(ValueError, match='gender is'):
        source.row(2)
    for changes, message in (
        (dict(shape=BETAS[:, :10].T), r'shape\]: has shape'),
        (dict(pose_cam=POSES.T), 'pose_cam'),
        (dict(gender=np.array(['m'])), 'do not fit'),
        (dict(imgname=np.ones((3, 3))), 'imgname'),
    ):
        with pytest.raises(DataSetError, match=message):
            bedlam(tmp_path, **changes)


def test_eft_layouts(tmp_path):
    source = eft(tmp_path, parm_shape=BETAS[:1, :16].tolist(), imageName='.\\0.jpg')
    assert source.row(0).label['betas'] == BETAS[0, :10].tolist()
    for changes, message in (
        (dict(parm_pose=np.ones((24, 3, 3)).tolist()), 'rotation matrices'),
        (dict(parm_pose=np.stack([-np.eye(3)] * 24).tolist()), 'rotation matrices'),
        (dict(parm_pose=np.zeros((3, 72)).tolist()), 'parm_pose has shape'),
        (dict(parm_shape=[0] * 5), 'parm_shape has shape'),
        (dict(bbox_scale='1'), 'bbox_scale'),
        (dict(gt_keypoint_2d=np.ones((3, 49)).tolist()), 'gt_keypoint_2d has shape'),
        (dict(imageName='../0.jpg'), 'leads out'),
        (dict(imageName=5), 'not text'),
        (dict(bbox_scale=-1), 'scale -1'),
    ):
        with pytest.raises(ValueError, match=message):
            eft(tmp_path, **changes).row(0)
