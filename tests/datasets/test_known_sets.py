# SPDX-License-Identifier: Apache-2.0
"""Data sets by name: registration, file names, metainfo, protocol."""

import pytest
from mmengine.config import Config
from mmengine.registry import build_from_cfg
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.registry import DATASETS

from fastmetro_mm.body.joint_sets import HAND21, J14
from fastmetro_mm.datasets import FreiHANDMeshDataset, MeshTSVDataset, known_sets

NAMES = [name for name in vars(known_sets) if name.endswith('MeshDataset')]


def test_every_set_is_registered_with_metainfo_and_protocol():
    assert len(NAMES) == 12
    titles = set()
    for name in NAMES:
        cls = DATASETS.get(name)
        assert cls is getattr(known_sets, name) and issubclass(cls, MeshTSVDataset)
        meta = dataset_meta_from_config(
            Config(dict(train_dataloader=dict(dataset=dict(type=name))))
        )
        want = HAND21 if cls is FreiHANDMeshDataset else J14
        assert tuple(meta['keypoint_id2name'].values()) == want
        titles.add(meta['dataset_name'])
        assert len(cls.PROTOCOL) > 60 and cls.SPLITS
        assert set(cls.SPLITS) & {'train', 'test'}
    assert len(titles) == 12


def test_default_files_and_log(make_set, tmp_path, monkeypatch):
    yaml_path = make_set(2, name='3dpw')
    (tmp_path / '3dpw' / 'test_has_gender.yaml').write_text(yaml_path.read_text())
    lines = []
    monkeypatch.setattr(known_sets, 'print_log', lambda text, logger: lines.append(text))
    dataset = build_from_cfg(
        dict(type='ThreeDPWMeshDataset', data_root=str(tmp_path), test_mode=True), DATASETS
    )
    assert dataset.ann_file == tmp_path / '3dpw' / 'test_has_gender.yaml' and len(dataset) == 2
    assert len(dataset) == len(lines) + 1  # shown once, however often it is used
    assert 'NEUTRAL SMPL' in lines[0] and '2 samples' in lines[0]
    assert dataset.get_data_info(0)['dataset_name'] == '3dpw'
    train = build_from_cfg(dict(type='ThreeDPWMeshDataset', data_root=str(tmp_path)), DATASETS)
    assert train.ann_file == tmp_path / '3dpw' / 'train.yaml'
    own = build_from_cfg(dict(type='COCOMeshDataset', ann_file=str(yaml_path)), DATASETS)
    assert len(own) == 2
    with pytest.raises(ValueError, match='COCOMeshDataset has no split'):
        build_from_cfg(dict(type='COCOMeshDataset', test_mode=True), DATASETS)


def test_hands_and_skipped_summary(make_set, tmp_path):
    yaml_path = make_set(3, 'hand', name='freihand')
    dataset = FreiHANDMeshDataset(data_root=str(tmp_path))
    assert dataset[0]['joints_3d'].shape == (21, 4) and dataset.skipped_summary() is None
    label = yaml_path.with_name('train.label.tsv')
    lines = label.read_bytes().split(b'\n')
    label.write_bytes(b'\n'.join([lines[0], lines[1].replace(b'[', b'{', 1), *lines[2:]]))
    dataset = FreiHANDMeshDataset(data_root=str(tmp_path))
    assert dataset[1]['img_key'] == 'img_002.jpg'  # the next usable row
    assert '1 of 3 rows cannot be used' in dataset.skipped_summary()
