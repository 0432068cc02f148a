# SPDX-License-Identifier: Apache-2.0
"""BEDLAM, UP-3D and Human3.6M json from tiny copies of their layouts."""

import json
import pickle

import cv2
import numpy as np
import pytest

from fastmetro_mm.body.joint_sets import H36M17, J24
from fastmetro_mm.dataset_tools.converters.bedlam import BedlamSource
from fastmetro_mm.dataset_tools.converters.h36m_json import Human36MSource
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.up3d import UP3DSource
from fastmetro_mm.datasets import DataSetError

NO_MESH = MeshJoints('none')


def _save_bedlam(path, pose_size=165, count=2, **changes):
    rng = np.random.default_rng(0)
    content = dict(
        imgname=np.array([f'seq/{i}.png' for i in range(count)]),
        center=np.full((count, 2), 100.0),
        scale=np.full(count, 0.7),
        pose_cam=rng.normal(0, 0.2, (count, pose_size)),
        shape=rng.normal(size=(count, 11)),
        gtkps=rng.uniform(60, 140, (count, 127, 2)),
        gender=np.array(['m', 'f'])[:count],
    )
    content.update(changes)
    np.savez(path, **content)
    return content


def test_bedlam_smplx_labels_give_shared_joints_only(tmp_path, write_image):
    content = _save_bedlam(tmp_path / 'day1.npz')
    write_image(tmp_path / 'images' / 'seq' / '0.png')
    source = BedlamSource(tmp_path / 'day1.npz', tmp_path / 'images', NO_MESH)
    assert 'SMPL-X' in source.note
    label = source.row(0).label
    assert (label['has_smpl'], label['has_3d_joints'], label['has_2d_joints']) == (0, 0, 1)
    points = np.array(label['2d_joints'])
    assert points[:, 2].sum() == 10 and label['gender'] == 'male'
    # joint 4 of SMPL and SMPL-X is the left knee
    np.testing.assert_array_equal(points[J24.index('L_Knee'), :2], content['gtkps'][0, 4])


def test_bedlam_smpl_labels_and_folders(tmp_path, write_image, open_mesh, pose_in_world):
    content = _save_bedlam(tmp_path / 'a.npz', 72)
    _save_bedlam(tmp_path / 'b.npz', 72, imgname=np.array(['seq/1.png', 'seq/9.png']))
    write_image(tmp_path / 'seq' / '1.png')
    source = BedlamSource(tmp_path, tmp_path, open_mesh)
    assert len(source) == 4 and [source.key(i)[4] for i in range(4)] == ['0', '1', '1', '9']
    label = source.row(1).label
    joints = pose_in_world(content['pose_cam'][1], content['shape'][1, :10], np.zeros(3))
    np.testing.assert_allclose(np.array(label['3d_joints'])[:, :3], joints, atol=1e-7)
    assert label['has_smpl'] == 1


def test_bedlam_closeup_images_are_turned(tmp_path, write_image):
    """The labels are those of the upright image, 240 wide and 320 high."""
    points = np.random.default_rng(0).uniform(10, 200, (2, 127, 2))
    points[:, :, 1] += 100
    _save_bedlam(tmp_path / 'x_closeup.npz', gtkps=points)
    write_image(tmp_path / 'seq' / '0.png', 320, 240)
    row = BedlamSource(tmp_path / 'x_closeup.npz', tmp_path, NO_MESH).row(0)
    image = cv2.imdecode(np.frombuffer(row.image, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[:2] == tuple(row.size) == (320, 240)
    assert image[20, 230, 0] > 200 > image[20, 10, 0]  # the bright corner went to the right
    _save_bedlam(tmp_path / 'x.npz', gtkps=points + 300)
    with pytest.raises(ValueError, match='outside of the image'):
        BedlamSource(tmp_path / 'x.npz', tmp_path, NO_MESH).row(0)


def test_bad_bedlam(tmp_path):
    for changes, message in (
        (dict(pose_cam=np.zeros((2, 99))), 'do not fit'),
        (dict(gtkps=np.zeros((2, 5, 2))), 'do not fit'),
        (dict(center=np.array([['a', 'b']] * 2)), 'does not hold numbers'),
    ):
        _save_bedlam(tmp_path / 'x.npz', **changes)
        with pytest.raises(DataSetError, match=message):
            BedlamSource(tmp_path / 'x.npz', tmp_path, NO_MESH)
    np.savez(tmp_path / 'x.npz', imgname=np.array(['a']))
    with pytest.raises(DataSetError, match='lacks center'):
        BedlamSource(tmp_path / 'x.npz', tmp_path, NO_MESH)
    (tmp_path / 'none').mkdir()
    with pytest.raises(DataSetError, match='holds no npz'):
        BedlamSource(tmp_path / 'none', tmp_path, NO_MESH)


def test_up3d(tmp_path, write_image, open_mesh, pose_in_world):
    rng = np.random.default_rng(0)
    (tmp_path / 'trainval.txt').write_text('/00000_image.png\n/00007_image.png 1.2\n\n')
    write_image(tmp_path / '00007_image.png')
    render = np.full((240, 320, 3), 255, np.uint8)
    render[50:150, 100:140] = 80
    cv2.imwrite(str(tmp_path / '00007_render_light.png'), render)
    points = rng.uniform(10, 200, (3, 14))
    np.save(tmp_path / '00007_joints.npy', points)
    body = dict(pose=rng.normal(0, 0.2, 72), betas=rng.normal(size=10), rt=np.zeros(3))
    path = tmp_path / '00007_body.pkl'
    path.write_bytes(pickle.dumps(body, protocol=2))
    source = UP3DSource(tmp_path, 'trainval', open_mesh)
    assert [source.key(i) for i in range(2)] == ['00000_image.png', '00007_image.png']
    with pytest.raises(ValueError, match='image not found'):
        source.row(0)
    label = source.row(1).label
    assert label['center'] == [120, 100] and label['scale'] == pytest.approx(0.6)
    np.testing.assert_array_equal(np.array(label['2d_joints'])[:14], points.T)
    assert not np.array(label['2d_joints'])[14:].any()
    joints = pose_in_world(body['pose'], body['betas'], np.zeros(3))
    np.testing.assert_allclose(np.array(label['3d_joints'])[:, :3], joints, atol=1e-7)
    path.write_bytes(b'garbage')
    with pytest.raises(ValueError, match=r'body\.pkl cannot be read'):
        source.row(1)
    (tmp_path / 'trainval.txt').write_text('photo.jpg\n')
    with pytest.raises(DataSetError, match='line 1'):
        UP3DSource(tmp_path, 'trainval', NO_MESH)


@pytest.fixture
def h36m(tmp_path, write_image):
    """Folder of json files of all subjects with two frames for two cameras, and their joints."""
    world = np.random.default_rng(0).normal(0, 300, (17, 3))
    rotation = cv2.Rodrigues(np.array([1.2, 0.3, -0.2]))[0]
    camera = dict(R=rotation.tolist(), t=[10, 20, 5000], f=[1145, 1144], c=[512, 515])
    for subject in (1, 5, 6, 7, 8, 9, 11):
        images, annotations = [], []
        for camera_id in (1, 4):
            for frame in (0, 3):
                number = len(images)
                name = f's{subject}_c{camera_id}_{frame}.jpg'
                images.append(
                    dict(
                        id=number,
                        file_name=name,
                        subject=subject,
                        action_idx=2,
                        subaction_idx=1,
                        cam_idx=camera_id,
                        frame_idx=frame,
                    )
                )
                annotations.append(dict(id=number, image_id=number, bbox=[100, 50, 200, 400]))
                write_image(tmp_path / 'images' / name)
        for part, content in dict(
            data=dict(images=images, annotations=annotations),
            camera={'1': camera, '4': camera},
            joint_3d={'2': {'1': {'0': world.tolist(), '3': world.tolist()}}},
        ).items():
            path = tmp_path / f'Human36M_subject{subject}_{part}.json'
            path.write_text(json.dumps(content))
    return tmp_path, (world @ rotation.T + (10, 20, 5000)) / 1000


def test_h36m_protocols_and_measured_joints(h36m):
    root, joints = h36m
    images = root / 'images'
    counts = {
        split: len(Human36MSource(root, images, split, NO_MESH))
        for split in ('train', 'protocol1', 'protocol2')
    }
    assert counts == dict(train=10, protocol1=4, protocol2=2)  # every 5th frame
    label = Human36MSource(root, images, 'train', NO_MESH).row(1).label
    got = np.array(label['3d_joints'])
    for name, j24 in (
        ('R_Hip', 'R_Hip'),
        ('L_Wrist', 'L_Wrist'),
        ('Torso', 'Spine'),
        ('Nose', 'Jaw'),
        ('Head', 'Head'),
        ('Pelvis', 'Pelvis'),
    ):
        np.testing.assert_allclose(got[J24.index(j24)], [*joints[H36M17.index(name)], 1])
    assert got[:, 3].sum() == 17 and not got[J24.index('Top_of_Head'), 3]
    points = np.array(label['2d_joints'])[J24.index('L_Wrist')]
    wrist = joints[H36M17.index('L_Wrist')]
    np.testing.assert_allclose(
        points, [1145 * wrist[0] / wrist[2] + 512, 1144 * wrist[1] / wrist[2] + 515, 1]
    )
    assert label['scale'] == pytest.approx(1.2 * 2) and label['has_smpl'] == 0
    source = Human36MSource(root, images, 'protocol2', NO_MESH)
    assert [source.key(i) for i in range(2)] == ['s9_c4_0.jpg', 's11_c4_0.jpg']
    label = source.row(0).label
    assert (label['has_2d_joints'], label['has_3d_joints']) == (0, 1)


def test_h36m_fits_are_turned_checked_and_shapes_bounded(h36m, open_mesh):
    root, _ = h36m
    pose = np.random.default_rng(1).normal(0, 0.2, 72)
    betas = np.zeros(10)
    betas[3] = 3.5
    fit = dict(pose=pose.tolist(), shape=betas.tolist(), trans=[0, 0, 0])
    for subject in (1, 5, 6, 7, 8):
        path = root / f'Human36M_subject{subject}_smpl_param.json'
        path.write_text(json.dumps({'2': {'1': {'0': fit}}}))
    source = Human36MSource(root, root / 'images', 'train', NO_MESH)
    assert 'not checked' in source.note
    label = source.row(0).label
    assert label['has_smpl'] == 1 and not np.any(label['betas'])  # beyond 3: mean shape
    rotation = cv2.Rodrigues(np.array([1.2, 0.3, -0.2]))[0] @ cv2.Rodrigues(pose[:3])[0]
    np.testing.assert_allclose(cv2.Rodrigues(np.array(label['pose'][:3]))[0], rotation, atol=1e-9)
    np.testing.assert_array_equal(label['pose'][3:], pose[3:])
    # these joints are noise, so no fit comes within 50 mm of them
    source = Human36MSource(root, root / 'images', 'train', open_mesh)
    label = source.row(0).label
    assert (label['has_smpl'], label['has_3d_joints']) == (0, 1)


def test_h36m_lacks_files(h36m):
    root, _ = h36m
    with pytest.raises(ValueError, match='no split'):
        Human36MSource(root, root / 'images', 'test', NO_MESH)
    (root / 'Human36M_subject9_camera.json').unlink()
    with pytest.raises(FileNotFoundError, match='subject9_camera'):
        Human36MSource(root, root / 'images', 'protocol2', NO_MESH)
