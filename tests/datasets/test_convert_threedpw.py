# SPDX-License-Identifier: Apache-2.0
"""3DPW and EMDB from tiny copies of their layout: world frame to camera frame."""

import pickle

import cv2
import numpy as np
import pytest

from fastmetro_mm.body.joint_sets import J24, SMPL24
from fastmetro_mm.dataset_tools.converters.emdb import EMDBSource
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.dataset_tools.converters.threedpw import ThreeDPWSource
from fastmetro_mm.datasets import DataSetError, MeshTSVDataset

INTRINSICS = np.array([[400.0, 0, 160], [0, 400, 120], [0, 0, 1]])
NO_MESH = MeshJoints('none')


def _camera(rng) -> np.ndarray:
    """World to camera for a world with y up, seen from 6 m away."""
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(rng.normal(0, 0.2, 3))[0] @ np.diag([1.0, -1, -1])
    matrix[:3, 3] = (0.1, 0.2, 6)
    return matrix


@pytest.fixture
def pw3d(tmp_path, write_image):
    """Folder of one sequence with two people and four frames, and the content of its pkl."""
    rng = np.random.default_rng(3)
    frames = 4
    cameras = np.stack([_camera(rng) for _ in range(frames)])
    trans = [rng.normal(0, 0.1, (frames, 3)) for _ in range(2)]
    content = dict(
        sequence='street_00',
        genders=['m', 'f'],
        cam_poses=cameras,
        cam_intrinsics=INTRINSICS,
        betas=[rng.normal(0, 1, 300), rng.normal(0, 1, 10)],
        trans=trans,
        poses=[rng.normal(0, 0.2, (frames, 72)) for _ in range(2)],
        jointPositions=[np.tile(t, 24) + rng.normal(0, 0.3, (frames, 72)) for t in trans],
        poses2d=[np.ones((frames, 3, 18)) * np.array([[100.0], [80], [1]]) for _ in range(2)],
        campose_valid=[np.array([1, 1, 0, 1]), np.array([1, 0, 1, 1])],
        img_frame_ids=np.arange(frames) * 2 + 7,
        texture_maps=[],
    )
    for person in content['poses2d']:
        person[:, :2] += rng.uniform(0, 40, (frames, 2, 18))
    content['poses2d'][0][3] = 0  # too few joints were detected
    path = tmp_path / 'sequenceFiles' / 'train' / 'street_00.pkl'
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(content, protocol=2))  # as Python 2 wrote it
    (tmp_path / 'sequenceFiles' / 'test').symlink_to(path.parent)
    for frame in range(frames):
        write_image(tmp_path / 'imageFiles' / 'street_00' / f'image_{frame:05d}.jpg')
    return tmp_path, content


def test_pose_joints_and_projection_are_in_the_camera_frame(
    pw3d, open_mesh, pose_in_world, tmp_path
):
    root, content = pw3d
    source = ThreeDPWSource(root, 'train', open_mesh)
    assert len(source) == 6  # valid camera poses only
    report = run_conversion(source, tmp_path / 'out', 'train')
    assert (report.num_rows, report.num_skipped) == (6, 0)
    dataset = MeshTSVDataset(report.yaml_path, test_mode=True)
    for index, (actor, frame) in enumerate([(0, 0), (0, 1), (0, 3), (1, 0), (1, 2), (1, 3)]):
        info = dataset.get_data_info(index)
        assert info['img_key'] == f'street_00/image_{frame:05d}.jpg'
        assert info['gender'] == ('male', 'female')[actor]
        world = pose_in_world(
            content['poses'][actor][frame],
            content['betas'][actor][:10],
            content['trans'][actor][frame],
        )
        camera = content['cam_poses'][frame]
        joints = world @ camera[:3, :3].T + camera[:3, 3]
        pelvis = joints[J24.index('Pelvis')]
        np.testing.assert_allclose(info['joints_3d'][:, :3], joints - pelvis, atol=1e-7)
        points = joints @ INTRINSICS.T
        np.testing.assert_allclose(
            info['joints_2d'][:, :2], points[:, :2] / points[:, 2:], atol=1e-4
        )
        np.testing.assert_array_equal(info['betas'], content['betas'][actor][:10])
        # pose of the label, posed without any camera, gives the same joints
        again = pose_in_world(info['pose'], info['betas'], np.zeros(3))
        again -= again[J24.index('Pelvis')]
        np.testing.assert_allclose(again, joints - pelvis, atol=1e-7)
        assert (info['has_smpl'], info['has_2d'], info['has_3d']) == (1, 1, 1)
    # SPIN's script turns the pose in place, so that a second pass would differ
    assert source.row(0).label == source.row(0).label


def test_boxes_of_both_kinds(pw3d):
    root, content = pw3d
    camera = content['cam_poses'][0]
    joints = content['jointPositions'][1][0].reshape(24, 3) @ camera[:3, :3].T + camera[:3, 3]
    points = joints @ INTRINSICS.T
    points = points[:, :2] / points[:, 2:]
    points = points[(points >= 0).all(1) & (points < (320, 240)).all(1)]
    side = (points.max(0) - points.min(0)).max()
    label = ThreeDPWSource(root, 'train', NO_MESH).row(3).label
    assert label['scale'] == pytest.approx(1.44 * side / 200)
    np.testing.assert_allclose(label['center'], (points.max(0) + points.min(0)) / 2)

    spin = ThreeDPWSource(root, 'train', NO_MESH, box='spin')
    found = content['poses2d'][1][0]
    side = (found[:2].max(1) - found[:2].min(1)).max()
    assert spin.row(3).label['scale'] == pytest.approx(1.2 * side / 200)
    with pytest.raises(ValueError, match='no detected 2D points'):
        spin.row(2)


def test_without_a_body_model_only_shared_joints_count(pw3d):
    root, content = pw3d
    source = ThreeDPWSource(root, 'train', NO_MESH)
    assert 'confidence 0' in source.note
    joints = np.array(source.row(0).label['3d_joints'])
    trusted = {name for name, row in zip(J24, joints, strict=True) if row[3] > 0}
    assert trusted == {
        f'{side}_{name}'
        for side in 'LR'
        for name in ('Ankle', 'Knee', 'Wrist', 'Elbow', 'Shoulder')
    }
    camera = content['cam_poses'][0]
    kinematic = content['jointPositions'][0][0].reshape(24, 3) @ camera[:3, :3].T + camera[:3, 3]
    for name in (*trusted, 'Pelvis', 'L_Hip'):
        np.testing.assert_allclose(joints[J24.index(name), :3], kinematic[SMPL24.index(name)])
    evaluation = ThreeDPWSource(root, 'test', NO_MESH)
    assert 'cannot be evaluated' in evaluation.note
    label = evaluation.row(0).label
    assert (label['has_3d_joints'], label['has_2d_joints'], label['has_smpl']) == (0, 1, 1)


def test_bad_releases(pw3d, tmp_path):
    root, content = pw3d
    path = root / 'sequenceFiles' / 'train' / 'street_00.pkl'
    with pytest.raises(ValueError, match='no split'):
        ThreeDPWSource(root, 'val', NO_MESH)
    with pytest.raises(FileNotFoundError, match='validation'):
        ThreeDPWSource(root, 'validation', NO_MESH)
    for change, message in (
        (dict(poses=[np.zeros((3, 72))] * 2), r'poses has shape \(3, 72\)'),
        (dict(cam_poses=None), 'lacks cam_poses'),
        (dict(genders=['m']), r'tracks for \[1, 2\] people'),
    ):
        path.write_bytes(pickle.dumps({**content, **change}))
        with pytest.raises(DataSetError, match=message):
            ThreeDPWSource(root, 'train', NO_MESH)
    path.write_bytes(pickle.dumps(content)[:-40])
    with pytest.raises(DataSetError, match='damaged'):
        ThreeDPWSource(root, 'train', NO_MESH)


class _Attack:
    def __reduce__(self):
        return eval, ('1/0',)


def test_a_pickle_that_runs_code_is_refused(pw3d):
    root, _ = pw3d
    path = root / 'sequenceFiles' / 'train' / 'street_00.pkl'
    path.write_bytes(pickle.dumps({'betas': _Attack()}))
    with pytest.raises(DataSetError, match=r'refused, the pickle asks for builtins\.eval'):
        ThreeDPWSource(root, 'train', NO_MESH)


@pytest.fixture
def emdb(tmp_path, write_image):
    """Folder of one EMDB sequence, and the content of its pkl."""
    rng = np.random.default_rng(5)
    content = dict(
        gender='female',
        name='P2_07_walk',
        emdb1=True,
        emdb2=False,
        n_frames=3,
        good_frames_mask=np.array([True, True, False]),
        camera=dict(
            intrinsics=INTRINSICS,
            extrinsics=np.stack([_camera(rng) for _ in range(3)]),
            width=320,
            height=240,
        ),
        smpl=dict(
            poses_root=rng.normal(0, 0.2, (3, 3)),
            poses_body=rng.normal(0, 0.2, (3, 69)),
            trans=rng.normal(0, 0.1, (3, 3)),
            betas=rng.normal(0, 1, 10),
        ),
        kp2d=np.zeros((3, 24, 2)),
        bboxes=dict(bboxes=np.tile([100.0, 60, 180, 200], (3, 1)), invalid_idxs=np.array([1])),
    )
    folder = tmp_path / 'P2' / '07_walk'
    for frame in range(3):
        write_image(folder / 'images' / f'{frame:05d}.jpg')
    (folder / 'P2_07_walk_data.pkl').write_bytes(pickle.dumps(content))
    return tmp_path, content


def test_emdb(emdb, open_mesh, pose_in_world, tmp_path):
    root, content = emdb
    report = run_conversion(EMDBSource(root, 'emdb1', open_mesh), tmp_path / 'out', 'emdb1')
    assert (report.num_rows, report.reasons) == (1, {'box marked invalid': 1})
    info = MeshTSVDataset(report.yaml_path, test_mode=True).get_data_info(0)
    assert info['img_key'] == 'P2/07_walk/images/00000.jpg' and info['gender'] == 'female'
    assert info['center'].tolist() == [140, 130]
    assert info['scale'] == pytest.approx(1.2 * 140 / 200)
    smpl, camera = content['smpl'], content['camera']['extrinsics'][0]
    pose = np.concatenate([smpl['poses_root'][0], smpl['poses_body'][0]])
    joints = pose_in_world(pose, smpl['betas'], smpl['trans'][0]) @ camera[:3, :3].T
    joints += camera[:3, 3]
    np.testing.assert_allclose(info['joints_3d'][:, :3], joints - joints[14], atol=1e-7)
    points = joints @ INTRINSICS.T
    np.testing.assert_allclose(info['joints_2d'][:, :2], points[:, :2] / points[:, 2:], atol=1e-4)
    label = EMDBSource(root, 'all', NO_MESH).row(0).label
    assert (label['has_2d_joints'], label['has_3d_joints'], label['has_smpl']) == (0, 0, 1)
    with pytest.raises(DataSetError, match='no sequence of emdb2'):
        EMDBSource(root, 'emdb2', NO_MESH)
    path = next(root.glob('*/*/*.pkl'))
    path.write_bytes(pickle.dumps({**content, 'n_frames': 4}))
    with pytest.raises(DataSetError, match='not an EMDB sequence file'):
        EMDBSource(root, 'emdb1', NO_MESH)
