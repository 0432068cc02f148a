# SPDX-License-Identifier: Apache-2.0
"""SMPL fits of other projects: HumanData, EFT, Pose2Mesh, NeuralAnnot, MuCo-3DHP."""

import json

import cv2
import numpy as np
import pytest

from fastmetro_mm.body.joint_sets import J24
from fastmetro_mm.dataset_tools.converters.coco_smpl import CocoSMPLSource
from fastmetro_mm.dataset_tools.converters.eft import EFTSource
from fastmetro_mm.dataset_tools.converters.humandata import HumanDataSource
from fastmetro_mm.dataset_tools.converters.humandata_names import J24_IN_HUMANDATA
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.datasets import DataSetError

NO_MESH = MeshJoints('none')
SHIFT = np.array([0.1, 0.1, 5.0])
FOCAL, PRINCPT = [400.0, 410.0], [160.0, 120.0]


def _draw_person(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pose and shape of somebody who stands upright in camera axes (y down)."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.15, 72)
    pose[:3] = (np.pi - 0.1, 0.1, 0.05)
    return pose, rng.normal(0, 1, 10)


def _project(joints: np.ndarray) -> np.ndarray:
    return joints[:, :2] / joints[:, 2:] * FOCAL + PRINCPT


# HumanData


def _save_humandata(path, compressed=True, **changes):
    rng = np.random.default_rng(0)
    mask = np.zeros(190)
    mask[list(J24_IN_HUMANDATA)] = 1
    mask[153:178] = 1  # some of OpenPose's, to be left alone
    mask[J24_IN_HUMANDATA[J24.index('Jaw')]] = 0
    points = rng.uniform(10, 200, (3, 190, 3)) * mask[:, None]
    joints = rng.normal(0, 1, (3, 190, 4)) * mask[:, None]
    points[..., 2] = joints[..., 3] = mask
    stored = (points[:, mask == 1], joints[:, mask == 1]) if compressed else (points, joints)
    content = dict(
        image_path=[f'{i}.jpg' for i in range(3)],
        bbox_xywh=np.array([[10, 20, 100, 60, 1]] * 3),
        keypoints2d=stored[0],
        keypoints2d_mask=mask,
        keypoints3d=stored[1],
        keypoints3d_mask=mask,
        meta=dict(gender=['m', 'f', 'neutral']),
        config='made up',
        smpl=dict(
            body_pose=rng.normal(size=(3, 23, 3)),
            global_orient=rng.normal(size=(3, 3)),
            betas=rng.normal(size=(3, 10)),
        ),
        __key_strict__=False,
        __data_len__=3,
        __keypoints_compressed__=compressed,
    )
    content.update(changes)
    np.savez_compressed(path, **{k: v for k, v in content.items() if v is not None})
    return content, points, joints


@pytest.mark.parametrize('compressed', [True, False])
def test_humandata(tmp_path, write_image, compressed):
    path = tmp_path / 'x.npz'
    content, points, joints = _save_humandata(path, compressed)
    write_image(tmp_path / '1.jpg')
    source = HumanDataSource(path, tmp_path, NO_MESH)
    label = source.row(1).label
    assert label['center'] == [60, 50] and label['scale'] == 0.5 and label['gender'] == 'female'
    rows = list(J24_IN_HUMANDATA)
    np.testing.assert_array_equal(label['2d_joints'], points[1, rows])
    got, want = np.array(label['3d_joints']), joints[1, rows]
    trusted = want[:, 3] == 1
    assert trusted.sum() == 23 and not trusted[J24.index('Jaw')]
    np.testing.assert_array_equal(got[trusted], want[trusted])
    # an absent joint is put on the pelvis, without confidence
    np.testing.assert_array_equal(got[J24.index('Jaw'), :3], want[J24.index('Pelvis'), :3])
    smpl = content['smpl']
    np.testing.assert_array_equal(
        label['pose'], np.concatenate([smpl['global_orient'][1], smpl['body_pose'][1].ravel()])
    )
    with pytest.raises(ValueError, match='image not found'):
        source.row(0)


def test_humandata_pelvis_falls_back_to_the_skeleton(tmp_path, write_image):
    write_image(tmp_path / '0.jpg')
    mask = np.zeros(190)
    mask[[0, 5, 8]] = 1  # skeleton pelvis, right knee, right ankle
    joints = np.random.default_rng(0).normal(size=(3, 3, 4))
    joints[..., 3] = 1
    _save_humandata(tmp_path / 'x.npz', keypoints3d=joints, keypoints3d_mask=mask)
    got = np.array(HumanDataSource(tmp_path / 'x.npz', tmp_path, NO_MESH).row(0).label['3d_joints'])
    np.testing.assert_array_equal(got[J24.index('Pelvis')], [*joints[0, 0, :3], 0])
    np.testing.assert_array_equal(got[J24.index('R_Knee')], joints[0, 1])
    mask[[0, 22]] = (0, 1)
    _save_humandata(tmp_path / 'x.npz', keypoints3d=joints, keypoints3d_mask=mask)
    label = HumanDataSource(tmp_path / 'x.npz', tmp_path, NO_MESH).row(0).label
    assert label['has_3d_joints'] == 0  # nothing to centre on


class _Attack:
    def __reduce__(self):
        return eval, ('1/0',)


def test_bad_humandata_is_refused(tmp_path):
    path = tmp_path / 'x.npz'
    for changes, message in (
        (dict(meta=dict(gender=_Attack())), 'asks for builtins.eval'),
        (dict(bbox_xywh=None), 'lacks bbox_xywh'),
        (dict(keypoints2d=np.zeros((3, 5, 3))), 'compressed to 5 joints'),
        (
            dict(keypoints2d=np.zeros((3, 24, 3)), __keypoints_compressed__=False),
            'has 24 joints, expected the 190',
        ),
        (dict(image_path=['a.jpg']), 'bbox_xywh has 3 rows for 1 images'),
        (
            dict(
                smpl=dict(
                    body_pose=np.zeros((3, 21, 3)),
                    global_orient=np.zeros((3, 3)),
                    betas=np.zeros((3, 10)),
                )
            ),
            'smpl does not fit',
        ),
    ):
        _save_humandata(path, **changes)
        with pytest.raises(DataSetError, match=message):
            HumanDataSource(path, tmp_path, NO_MESH)
    path.write_bytes(b'PK nothing')
    with pytest.raises(DataSetError, match='truncated'):
        HumanDataSource(path, tmp_path, NO_MESH)


# EFT


def test_eft(tmp_path, write_image, open_mesh, pose_in_world):
    write_image(tmp_path / 'a.jpg')
    pose, betas = _draw_person(0)
    rotations = np.stack([cv2.Rodrigues(v)[0] for v in pose.reshape(24, 3)])
    points = np.random.default_rng(0).uniform(10, 100, (49, 3))
    entry = dict(
        parm_pose=rotations.tolist(),
        parm_shape=betas.tolist(),
        parm_cam=[0.9, 0, 0],
        bbox_scale=0.8,
        bbox_center=[100, 110],
        gt_keypoint_2d=points.tolist(),
        smpltype='smpl',
        imageName='a.jpg',
        annotId=7,
    )
    data = [
        entry,
        {**entry, 'smpltype': 'smplx'},
        {**entry, 'parm_pose': [1, 2]},
        {**entry, 'imageName': 'gone.jpg'},
        {'imageName': 'a.jpg'},
    ]
    (tmp_path / 'x.json').write_text(json.dumps(dict(ver=1, data=data)))
    source = EFTSource(tmp_path / 'x.json', tmp_path, open_mesh)
    label = source.row(0).label
    np.testing.assert_allclose(label['pose'], pose, atol=1e-5)
    np.testing.assert_array_equal(label['2d_joints'], points[25:])  # after OpenPose's 25
    assert (label['center'], label['scale']) == ([100, 110], 0.8)
    joints = pose_in_world(pose, betas, np.zeros(3))
    np.testing.assert_allclose(np.array(label['3d_joints'])[:, :3], joints, atol=1e-5)
    for index, message in (
        (1, 'the fit is smplx'),
        (2, 'parm_pose has shape'),
        (3, 'image not found'),
        (4, 'no parm_pose'),
    ):
        with pytest.raises(ValueError, match=message):
            source.row(index)
    label = EFTSource(tmp_path / 'x.json', tmp_path, NO_MESH).row(0).label
    assert (label['has_smpl'], label['has_3d_joints'], label['has_2d_joints']) == (1, 0, 1)
    (tmp_path / 'x.json').write_text('{"data": [1]}')
    with pytest.raises(DataSetError, match='not a json of EFT'):
        EFTSource(tmp_path / 'x.json', tmp_path, NO_MESH)


# Pose2Mesh, NeuralAnnot, MuCo


def _save_coco(path, images, annotations, **more):
    path.write_text(json.dumps(dict(images=images, annotations=annotations, **more)))
    return path


def test_pose2mesh_3dpw(tmp_path, write_image, open_mesh, pose_in_world):
    pose, betas = _draw_person(1)
    write_image(tmp_path / 'seq_00' / 'image_00000.jpg')
    fit = dict(pose=pose.tolist(), shape=betas.tolist(), trans=SHIFT.tolist(), gender='female')
    annotation = dict(id=5, image_id=3, bbox=[100, 50, 60, 120], smpl_param=fit)
    path = _save_coco(
        tmp_path / '3DPW_test.json',
        [
            dict(
                id=3,
                file_name='image_00000.jpg',
                sequence='seq_00',
                width=320,
                height=240,
                cam_param=dict(focal=FOCAL, princpt=PRINCPT),
            )
        ],
        [
            annotation,
            {**annotation, 'bbox': [1, 2, 0, 4]},
            {**annotation, 'smpl_param': {**fit, 'pose': [0] * 71}},
        ],
    )
    source = CocoSMPLSource(path, tmp_path, open_mesh)
    row = source.row(0)
    assert row.key == 'seq_00/image_00000.jpg' and row.label['gender'] == 'female'
    assert row.label['center'] == [130, 110]
    assert row.label['scale'] == pytest.approx(1.2 * 120 / 200)  # padded twice, as METRO does
    joints = pose_in_world(pose, betas, SHIFT)
    np.testing.assert_allclose(np.array(row.label['3d_joints'])[:, :3], joints, atol=1e-7)
    np.testing.assert_allclose(np.array(row.label['2d_joints'])[:, :2], _project(joints))
    with pytest.raises(ValueError, match='no area'):
        source.row(1)
    with pytest.raises(ValueError, match=r'pose has shape \(71,\)'):
        source.row(2)


def test_neuralannot_coco(tmp_path, write_image, open_mesh):
    pose, betas = _draw_person(2)
    write_image(tmp_path / 'a.jpg')
    keypoints = np.zeros((17, 3))
    keypoints[15] = (44, 55, 2)  # left ankle
    annotation = dict(image_id=1, bbox=[10, 10, 50, 50], keypoints=keypoints.ravel().tolist())
    path = _save_coco(
        tmp_path / 'coco.json',
        [dict(id=1, file_name='a.jpg')],
        [dict(annotation, id=11), dict(annotation, id=12), dict(annotation, id=13, iscrowd=1)],
    )
    fits = {
        '11': dict(
            smpl_param=dict(pose=pose.tolist(), shape=betas.tolist(), trans=SHIFT.tolist()),
            cam_param=dict(focal=FOCAL, princpt=PRINCPT),
        )
    }
    (tmp_path / 'fits.json').write_text(json.dumps(fits))
    source = CocoSMPLSource(path, tmp_path, open_mesh, tmp_path / 'fits.json')
    label = source.row(0).label
    # annotated points win over projected ones
    points = np.array(label['2d_joints'])
    assert points[J24.index('L_Ankle')].tolist() == [44, 55, 1] and points[:, 2].sum() == 1
    np.testing.assert_array_equal(label['pose'], pose)
    for index, message in ((1, 'no SMPL fit'), (2, 'crowd')):
        with pytest.raises(ValueError, match=message):
            source.row(index)
    label = CocoSMPLSource(path, tmp_path, NO_MESH, tmp_path / 'fits.json').row(0).label
    assert (label['has_smpl'], label['has_3d_joints'], label['has_2d_joints']) == (1, 0, 1)
    with pytest.raises(FileNotFoundError, match='--smpl'):
        CocoSMPLSource(path, tmp_path, NO_MESH, tmp_path / 'gone.json')
    (tmp_path / 'coco.json').write_text('{"images": 3}')
    with pytest.raises(DataSetError, match='COCO-style'):
        CocoSMPLSource(path, tmp_path, NO_MESH)


def test_muco_millimetres_and_bad_fits(tmp_path, write_image, open_mesh, pose_in_world):
    pose, betas = _draw_person(3)
    write_image(tmp_path / 'a.jpg')
    joints = pose_in_world(pose, betas, SHIFT)
    names = (
        'Top_of_Head Thorax R_Shoulder R_Elbow R_Wrist L_Shoulder L_Elbow L_Wrist R_Hip '
        'R_Knee R_Ankle L_Hip L_Knee L_Ankle Pelvis Spine Head'
    ).split()
    muco = np.concatenate([joints[[J24.index(n) for n in names]], np.zeros((4, 3))])
    annotation = dict(
        id=1,
        image_id=1,
        bbox=[10, 10, 50, 50],
        keypoints_cam=(1000 * muco).tolist(),
        keypoints_img=(muco[:, :2] * 10).tolist(),
    )
    images = [dict(id=1, file_name='a.jpg', f=FOCAL, c=PRINCPT)]
    path = _save_coco(tmp_path / 'muco.json', images, [annotation])
    fit = dict(pose=pose.tolist(), shape=betas.tolist(), trans=SHIFT.tolist())
    fits = tmp_path / 'smpl_param.json'
    fits.write_text(json.dumps({'1': fit}))
    label = CocoSMPLSource(path, tmp_path, open_mesh, fits).row(0).label
    np.testing.assert_allclose(np.array(label['3d_joints'])[:, :3], joints, atol=1e-7)
    points = np.array(label['2d_joints'])
    assert points[:, 2].sum() == 13
    np.testing.assert_allclose(points[J24.index('L_Knee'), :2], 10 * joints[4, :2])

    label = CocoSMPLSource(path, tmp_path, NO_MESH).row(0).label  # measured joints alone
    got = np.array(label['3d_joints'])
    assert got[:, 3].sum() == 13 and label['has_smpl'] == 0
    np.testing.assert_allclose(got[J24.index('R_Wrist'), :3], joints[6], atol=1e-12)
    fits.write_text(json.dumps({'1': {**fit, 'pose': (pose + 0.3).tolist()}}))
    with pytest.raises(ValueError, match='more than 45 mm'):
        CocoSMPLSource(path, tmp_path, open_mesh, fits).row(0)
