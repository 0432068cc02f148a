# SPDX-License-Identifier: Apache-2.0
"""Small releases of other projects, as their converters read them."""

import json
import pickle

import cv2
import numpy as np

from fastmetro_mm.dataset_tools.converters.bedlam import BedlamSource
from fastmetro_mm.dataset_tools.converters.coco_smpl import CocoSMPLSource
from fastmetro_mm.dataset_tools.converters.eft import EFTSource
from fastmetro_mm.dataset_tools.converters.emdb import EMDBSource
from fastmetro_mm.dataset_tools.converters.freihand import FreiHANDSource
from fastmetro_mm.dataset_tools.converters.h36m_json import Human36MSource
from fastmetro_mm.dataset_tools.converters.humandata import HumanDataSource
from fastmetro_mm.dataset_tools.converters.image_folder import ImageFolderSource
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.spin_npz import SpinNpzSource
from fastmetro_mm.dataset_tools.converters.threedpw import ThreeDPWSource
from fastmetro_mm.dataset_tools.converters.up3d import UP3DSource

NO_MESH = MeshJoints('none')

JPEG = cv2.imencode('.jpg', np.full((224, 224, 3), 90, np.uint8))[1].tobytes()

RNG = np.random.default_rng(0)

BETAS = RNG.normal(size=(3, 300))


def images(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(JPEG)


def humandata(root, smpl=None, **changes):
    images(root, '0.jpg', 'sub/1.jpg', '2.jpg')
    content = dict(
        image_path=['0.jpg', 'sub/1.jpg', '2.jpg'],
        bbox_xywh=np.array([[10, 20, 30, 40, 1.0]] * 3),
        smpl={
            **dict(body_pose=POSES[:, 3:], global_orient=POSES[:, :3], betas=BETAS[:, :10]),
            **(smpl or {}),
        },
        meta=dict(gender=['m', 'f', 'neutral']),
    )
    np.savez(root / 'x.npz', **{**content, **changes})
    return HumanDataSource(root / 'x.npz', root, NO_MESH)


POSES = RNG.normal(size=(3, 72))


def spin(root, **changes):
    images(root, '0.jpg', 'sub/1.jpg', '2.jpg')
    content = dict(
        imgname=['0.jpg', 'sub/1.jpg', '2.jpg'],
        center=np.ones((3, 2)),
        scale=np.ones(3),
        pose=POSES,
        shape=BETAS[:, :10],
    )
    np.savez(root / 'x.npz', **{**content, **changes})
    return SpinNpzSource(root / 'x.npz', root)


def pw3d(root, **changes):
    content = dict(
        sequence='s',
        genders=['m', 'f'],
        cam_poses=np.stack([np.eye(4)] * 2),
        cam_intrinsics=np.array([[100, 0, 112], [0, 100, 112], [0, 0, 1.0]]),
        betas=[BETAS[0], BETAS[1, :16]],
        trans=[np.ones((2, 3))] * 2,
        poses=[np.zeros((2, 72))] * 2,
        jointPositions=[np.tile(RNG.uniform(1, 2, 72), (2, 1))] * 2,
        poses2d=[np.full((2, 3, 18), np.arange(18.0))] * 2,
        campose_valid=[np.ones(2)] * 2,
    )
    path = root / 'sequenceFiles' / 'train' / 's.pkl'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({**content, **changes}, protocol=2))
    images(root / 'imageFiles' / 's', 'image_00000.jpg', 'image_00001.jpg')
    return ThreeDPWSource(root, 'train', NO_MESH, 'spin')


def emdb(root, smpl=None, **changes):
    content = dict(
        gender='male',
        emdb1=True,
        emdb2=False,
        n_frames=2,
        good_frames_mask=np.ones(2, bool),
        smpl={
            **dict(
                poses_root=POSES[:2, :3],
                poses_body=POSES[:2, 3:],
                trans=np.zeros((2, 3)),
                betas=BETAS[0, :10],
            ),
            **(smpl or {}),
        },
        camera=dict(intrinsics=np.eye(3), extrinsics=np.stack([np.eye(4)] * 2)),
        bboxes=dict(bboxes=np.array([[1, 1, 9, 9.0]] * 2), invalid_idxs=[]),
    )
    path = root / 'P0' / 'a' / 'P0_a_data.pkl'
    images(path.parent / 'images', '00000.jpg', '00001.jpg')
    path.write_bytes(pickle.dumps({**content, **changes}))
    return EMDBSource(root, 'emdb1', NO_MESH)


def freihand(root, **changes):
    images(root / 'training' / 'rgb', *(f'{i:08d}.jpg' for i in range(2)))
    camera = [[480, 0, 112], [0, 480, 112], [0, 0, 1]]
    xyz = RNG.uniform(-0.05, 0.05, (2, 21, 3)) + np.array([0, 0, 0.7])
    content = dict(
        K=[camera] * 2, mano=np.arange(122.0).reshape(2, 1, 61).tolist(), xyz=xyz.tolist()
    )
    for name, value in {**content, **changes}.items():
        (root / f'training_{name}.json').write_text(json.dumps(value))
    return FreiHANDSource(root, 'training', ['gs']), xyz


def up3d(root, pose, betas):
    cv2.imwrite(str(root / '00000_image.png'), np.full((50, 60, 3), 90, np.uint8))
    render = np.full((50, 60, 3), 255, np.uint8)
    render[10:30, 20:30] = 0
    cv2.imwrite(str(root / '00000_render_light.png'), render)
    np.save(root / '00000_joints.npy', np.ones((3, 14)))
    (root / '00000_body.pkl').write_bytes(pickle.dumps(dict(pose=pose, betas=betas), protocol=2))
    (root / 'trainval.txt').write_bytes('\ufeff/00000_image.png 1.0\r\n'.encode())
    return UP3DSource(root, 'trainval', NO_MESH)


def bedlam(root, **changes):
    images(root, '0.jpg', 'sub/1.jpg', '2.jpg')
    content = dict(
        imgname=['0.jpg', 'sub/1.jpg', '2.jpg'],
        center=np.ones((3, 2)),
        scale=np.ones(3),
        pose_cam=POSES,
        shape=BETAS[:, :11],
        gtkps=np.full((3, 24, 2), 9.0),
        gender=np.array([b'f', b'Male', b'x']),
    )
    np.savez(root / 'x.npz', **{**content, **changes})
    return BedlamSource(root / 'x.npz', root, NO_MESH)


def eft(root, **changes):
    images(root, '0.jpg')
    entry = dict(
        parm_pose=np.stack([np.eye(3)] * 24).tolist(),
        parm_shape=BETAS[0, :10].tolist(),
        bbox_scale=1.0,
        bbox_center=[5, 5],
        imageName='0.jpg',
        smpltype='smpl',
    )
    (root / 'x.json').write_text(json.dumps(dict(ver=1, data=[{**entry, **changes}])))
    return EFTSource(root / 'x.json', root, NO_MESH)


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


def coco(root):
    images(root, '0.jpg')
    image = dict(id=1, file_name='0.jpg', cam_param=dict(focal=[1, 1], princpt=[0, 0]))
    fit = dict(pose=[0.1] * 72, shape=[0] * 10, trans=[0, 0, 1], gender='m')
    person = dict(
        image_id=1, bbox=[1, 2, 30, 40], category_id=1, keypoints=[1, 2, 2] * 17, smpl_param=fit
    )
    content = dict(
        images=[image],
        annotations=[dict(person, id=i) for i in range(2)],
        categories=[dict(id=1, name='person', keypoints=None)],
    )
    (root / 'x.json').write_text(json.dumps(content))


MAKERS = dict(
    humandata=humandata, spin=spin, pw3d=pw3d, emdb=emdb, bedlam=bedlam, eft=eft, coco=coco,
    h36m=h36m, freihand=freihand, up3d=lambda root: up3d(root, POSES[0], BETAS[0, :10]),
)  # fmt: skip


def open_release(name, root):
    """The sources that read what ``MAKERS[name]`` has made."""
    return dict(
        humandata=lambda: [HumanDataSource(root / 'x.npz', root, NO_MESH)],
        spin=lambda: [SpinNpzSource(root / 'x.npz', root)],
        eft=lambda: [EFTSource(root / 'x.json', root, NO_MESH)],
        bedlam=lambda: [BedlamSource(root / 'x.npz', root, NO_MESH)],
        pw3d=lambda: [ThreeDPWSource(root, 'train', NO_MESH, 'spin')],
        emdb=lambda: [EMDBSource(root, 'emdb1', NO_MESH)],
        coco=lambda: [
            ImageFolderSource(root, root / 'x.json'),
            CocoSMPLSource(root / 'x.json', root, NO_MESH),
        ],
        h36m=lambda: [Human36MSource(root, root, 'protocol2', NO_MESH)],
        freihand=lambda: [FreiHANDSource(root, 'training', ['gs'])],
        up3d=lambda: [UP3DSource(root, 'trainval', NO_MESH)],
    )[name]()


def file_of(name, root):
    """A file of such a release; ``name`` may tell which, as ``h36m camera``."""
    name, _, part = name.partition(' ')
    return root / dict(
        humandata='x.npz', spin='x.npz', bedlam='x.npz', eft='x.json', coco='x.json',
        pw3d='sequenceFiles/train/s.pkl', emdb='P0/a/P0_a_data.pkl', up3d='00000_body.pkl',
        h36m=f'Human36M_subject9_{part}.json', freihand=f'training_{part}.json',
    )[name]  # fmt: skip
