# SPDX-License-Identifier: Apache-2.0
"""The data set: equal to the official loader, robust against bad input, safe in workers."""

import copy
import json

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.dataset import DefaultSampler, pseudo_collate, worker_init_fn
from mmengine.registry import build_from_cfg, init_default_scope
from mmengine.runner import Runner
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader

from fastmetro_mm.body.joint_sets import HAND21, J14
from fastmetro_mm.datasets import DataRowError, HandMeshTSVDataset, MeshTSVDataset
from tests.datasets.edited_sets import LOAD, edit_label, edit_row

TRAIN = [
    dict(type='LoadMeshImage'),
    dict(type='MeshAugment', train=True),
    dict(type='MeshCrop', mode='fast'),
    dict(type='PackMeshInputs'),
]


@pytest.mark.parametrize('aug', [0, 1, 2])
def test_official_mode_equals_the_official_loader(shared_dir, aug):
    golden = np.load(shared_dir / 'golden' / 'dataset_a.npz')
    flip, noise, rot, scale = json.loads((shared_dir / 'golden' / 'dataset_aug.json').read_text())[
        aug
    ]
    dataset = build_from_cfg(
        dict(
            type='MeshTSVDataset',
            ann_file=str(shared_dir / 'golden' / 'tsv' / 'a' / 'train.yaml'),
            pipeline=[
                dict(type='LoadMeshImage'),
                dict(type='MeshAugment', fixed=dict(flip=flip, noise=noise, rot=rot, scale=scale)),
                dict(type='MeshCrop', size=224, mode='official'),
            ],
        ),
        DATASETS,
    )
    assert len(dataset) == 3
    for index in range(3):
        sample = dataset[index]
        want = {
            key.split('/')[-1]: golden[key]
            for key in golden.files
            if key.startswith(f'a/aug{aug}/{index}/')
        }
        difference = np.abs(sample['img'].transpose(2, 0, 1) - want['ori_img'] / 16)
        assert difference.mean() < 1 and difference.max() < 2
        for name in ('joints_2d', 'joints_3d', 'pose', 'betas', 'center'):
            np.testing.assert_allclose(sample[name], want[name], atol=1e-5, err_msg=name)
        flags = [sample[name] for name in ('has_smpl', 'has_2d', 'has_3d', 'scale')]
        np.testing.assert_allclose(flags, want['meta'], atol=1e-12)
        assert sample['img_key'] == str(want['key'])
        assert sample['gender'] == str(want['gender'])


def test_composite_set_gives_the_picked_rows(shared_dir):
    tsv = shared_dir / 'golden' / 'tsv'
    mix = MeshTSVDataset(tsv / 'mix' / 'train.yaml', LOAD)
    picks = np.loadtxt(tsv / 'mix' / 'train.linelist.tsv', dtype=int).tolist()
    assert len(mix) == len(picks) == 5
    for index, (source, row) in enumerate(picks):
        key, label = (
            (tsv / 'ab'[source] / 'train.label.tsv').read_text().splitlines()[row].split('\t')
        )
        label, info = json.loads(label)[0], mix.get_data_info(index)
        assert info['img_key'] == key
        np.testing.assert_allclose(info['betas'], label['betas'])
        joints = np.array(label['3d_joints']).reshape(24, 4)
        np.testing.assert_allclose(info['joints_3d'][:, :3], joints[:, :3] - joints[14, :3])
        assert mix[index]['img'].shape == (224, 224, 3)


def test_metainfo_reaches_mmpose(make_set):
    for cls, names in ((MeshTSVDataset, J14), (HandMeshTSVDataset, HAND21)):
        config = Config(dict(train_dataloader=dict(dataset=dict(type=cls.__name__))))
        meta = dataset_meta_from_config(config)
        assert tuple(meta['keypoint_id2name'].values()) == names
        config = Config(dict(train_dataloader=dict(dataset=dict(type=cls))))
        assert dataset_meta_from_config(config)['num_keypoints'] == len(names)
    assert MeshTSVDataset(make_set()).metainfo['num_keypoints'] == 14
    hands = make_set(body='hand', name='hands')
    assert MeshTSVDataset(hands, body='hand').metainfo['num_keypoints'] == 21


def test_hand_rows_are_centred_on_the_wrist(make_set):
    dataset = HandMeshTSVDataset(make_set(2, 'hand'), LOAD)
    sample = dataset[0]
    assert sample['joints_3d'].shape == (21, 4) and sample['pose'].shape == (48,)
    assert np.all(sample['joints_3d'][0, :3] == 0)
    with pytest.raises(DataRowError, match='2d_joints'):
        MeshTSVDataset(dataset.ann_file, LOAD, on_error='raise')[0]


def test_old_forms(make_set):
    yaml_path = make_set(3)
    edit_row(yaml_path, 'hw', 1, lambda line: line.split(b'\t')[0] + b'\t160 200')
    edit_row(yaml_path, 'img', 1, lambda line: line.replace(b'\t', b'\told\tcolumns\t'))
    edit_label(
        yaml_path,
        1,
        **{
            '2d_joints': [[[1, 2, 1]] * 24],
            '_gender': 'm',
            'has_smpl': [1],
            'has_3d_joints': False,
        },
    )
    info = MeshTSVDataset(yaml_path, on_error='raise').prepare_data(1)
    assert info['ori_shape'] == (160, 200) and info['gender'] == 'm'
    assert info['joints_2d'].shape == (24, 3) and info['has_smpl'] == 1 and info['has_3d'] == 0


def test_absent_labels_are_zeros_with_their_flag_zero(make_set):
    yaml_path = make_set(1)
    edit_label(yaml_path, 0, pose=..., has_smpl=..., **{'3d_joints': None, 'has_3d_joints': 0})
    pipeline = [*LOAD, dict(type='PackMeshInputs')]
    sample = MeshTSVDataset(yaml_path, pipeline, on_error='raise')[0]['data_samples']
    labels = sample.gt_instance_labels
    assert labels.has_smpl.tolist() == [0] and not labels.pose.any()
    assert labels.has_3d.tolist() == [0] and not labels.joints_3d.any()
    assert labels.joints_2d.shape == (1, 24, 3) and labels.betas.shape == (1, 10)


def test_set_without_labels_boxes_the_image(make_set):
    yaml_path = make_set(2)
    yaml_path.write_text('img: train.img.tsv\n')
    pipeline = [
        LOAD[0],
        dict(type='BoxToCenterScale', padding=1.0),
        *LOAD[1:],
        dict(type='PackMeshInputs'),
    ]
    sample = MeshTSVDataset(yaml_path, pipeline, test_mode=True)[1]['data_samples']
    assert sample.gt_instances.bboxes.tolist() == [[0, 0, 200, 160]]
    assert sample.img_key == 'img_001.jpg'


def test_packed_sample(make_set):
    packed = MeshTSVDataset(make_set(), TRAIN)[2]
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 224, 224) and packed['inputs'].dtype == torch.uint8
    assert sample.sample_idx == 2
    labels = sample.gt_instance_labels
    assert {name: tuple(labels[name].shape) for name in labels.keys()} == dict(
        joints_2d=(1, 24, 3),
        joints_3d=(1, 24, 4),
        pose=(1, 72),
        betas=(1, 10),
        has_smpl=(1,),
        has_2d=(1,),
        has_3d=(1,),
    )
    assert sample.crop_to_image.shape == (2, 3) and sample.input_size == (224, 224)
    assert sample.ori_shape == (160, 200) and sample.img_key == 'img_002.jpg'


def test_indices_and_lazy_init(make_set):
    yaml_path = make_set(4)
    assert len(MeshTSVDataset(yaml_path, indices=2)) == 2
    assert MeshTSVDataset(yaml_path, indices=[3, 1]).get_data_info(0)['img_key'] == 'img_003.jpg'
    lazy = MeshTSVDataset('nowhere.yaml', lazy_init=True)
    assert lazy.metainfo['num_keypoints'] == 14
    with pytest.raises(FileNotFoundError):
        len(lazy)


def test_workers_give_the_same_data(make_set):
    dataset = MeshTSVDataset(make_set(8), LOAD, test_mode=True)
    here = [dataset[i] for i in range(8)]
    for other in (dataset, copy.deepcopy(dataset)):
        loader = DataLoader(
            other,
            batch_size=2,
            num_workers=2,
            collate_fn=pseudo_collate,
            sampler=DefaultSampler(other, shuffle=False),
        )
        for number, batch in enumerate(loader):
            for i in range(2):
                want = here[2 * number + i]
                assert batch['img_key'][i] == want['img_key']
                np.testing.assert_array_equal(batch['img'][i], want['img'])
                np.testing.assert_array_equal(batch['joints_2d'][i], want['joints_2d'])


def test_runner_builds_a_loader(make_set):
    init_default_scope('mmpose')
    loader = Runner.build_dataloader(
        dict(
            batch_size=3,
            num_workers=0,
            dataset=dict(
                type='MeshTSVDataset',
                ann_file='train.yaml',
                data_root=str(make_set(6).parent),
                pipeline=TRAIN,
            ),
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='pseudo_collate'),
        ),
        seed=0,
    )
    batches = list(loader)
    assert [len(batch['inputs']) for batch in batches] == [3, 3]
    keys = sorted(sample.img_key for batch in batches for sample in batch['data_samples'])
    assert keys == [f'img_{i:03d}.jpg' for i in range(6)]


def test_seeded_workers_repeat_and_differ(make_set):
    dataset = MeshTSVDataset(make_set(8), TRAIN)

    def run(seed):
        def init(worker):
            worker_init_fn(worker, num_workers=2, rank=0, seed=seed)

        loader = DataLoader(
            dataset, batch_size=1, num_workers=2, worker_init_fn=init, collate_fn=pseudo_collate
        )
        return [float(batch['data_samples'][0].scale) for batch in loader]

    first = run(3)
    assert first == run(3) and first != run(4) and len(set(first)) == 8
