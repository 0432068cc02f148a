# SPDX-License-Identifier: Apache-2.0
"""Metrics say before the training that they cannot evaluate a set."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

from fastmetro_mm.engine.runner import MeshRunner
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.evaluation import FreiHANDMetric


class _Set(torch.utils.data.Dataset):
    """Six nothings."""

    ann_file = 'mine/test.yaml'
    metainfo: dict = {}

    def __len__(self):
        return 6

    def __getitem__(self, index):
        raise AssertionError('a sample was read')


def test_freihand_counts_before_the_first_batch(tmp_path):
    pred = tmp_path / 'pred.json'
    with pytest.raises(ConfigError, match=r'mine/test.yaml has 6 images, expected=3960'):
        FreiHANDMetric(pred_file=pred, expected=3960).check_dataset(_Set())
    for metric in (
        FreiHANDMetric(pred_file=pred, expected=6),
        FreiHANDMetric(expected=3960),
        FreiHANDMetric(pred_file=pred),
    ):
        metric.check_dataset(_Set())
    with pytest.raises(FileNotFoundError, match=r'xyz.json not found'):
        FreiHANDMetric(
            xyz_file=tmp_path / 'xyz.json', verts_file=tmp_path / 'verts.json'
        ).check_dataset(_Set())


class _Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, *_args, **_kwargs):
        raise AssertionError('the network ran')


@pytest.mark.parametrize('stage', ['train', 'test'])
def test_a_run_ends_before_its_first_batch(tmp_path, stage):
    loader = dict(
        dataset=_Set(),
        sampler=dict(type='DefaultSampler', shuffle=False),
        batch_size=2,
        num_workers=0,
    )
    metric = FreiHANDMetric(pred_file=tmp_path / 'pred.json', expected=3960)
    more = dict(test_dataloader=loader, test_evaluator=[metric], test_cfg=dict())
    if stage == 'train':
        more = dict(
            train_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=20, val_interval=20),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            val_dataloader=loader,
            val_evaluator=[metric],
            val_cfg=dict(),
        )
    runner = MeshRunner(
        model=_Model(),
        work_dir=str(tmp_path / 'work'),
        cfg=Config(),
        experiment_name=f'check_{stage}',
        **more,
    )
    with pytest.raises(ConfigError, match='expected=3960'):
        getattr(runner, stage)()
