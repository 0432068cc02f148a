# SPDX-License-Identifier: Apache-2.0
"""Folders given on the command line reach every setting made from them."""

import pytest
from mmengine.config import Config

from fastmetro_mm.engine import config_options
from fastmetro_mm.errors import CliError

TEXT = """
from torch.optim import AdamW
data_root = 'data'
body_data_root = 'data/body_models'
model = dict(body=dict(body_data_root=body_data_root), heads=[dict(body_data_root='other')])
train_dataloader = dict(dataset=dict(datasets=[
    dict(data_root=data_root, ann_file='h36m/train.yaml'),
    dict(data_root='database', ann_file='x.yaml')]))
optim_wrapper = dict(optimizer=dict(type=AdamW, lr=1e-4))
custom_hooks = []
"""


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(TEXT)
    return config_options.load_config(str(path))


def test_folders_propagate(cfg):
    config_options.merge_options(cfg, {'data_root': '/big/', 'body_data_root': '/smpl'})
    assert cfg.body_data_root == cfg.model.body.body_data_root == '/smpl'
    assert cfg.model.heads[0].body_data_root == 'other'
    first, second = cfg.train_dataloader.dataset.datasets
    assert first.data_root == '/big/' and first.ann_file == 'h36m/train.yaml'
    assert second.data_root == 'database' and second.ann_file == 'x.yaml'


def test_data_root_leaves_the_body_files_where_they_are(cfg):
    config_options.merge_options(cfg, {'data_root': '/big'})
    assert cfg.body_data_root == cfg.model.body.body_data_root == 'data/body_models'


def test_switches(cfg):
    config_options.enable_amp(cfg)
    config_options.ensure_hooks(cfg)
    config_options.ensure_hooks(cfg)
    config_options.enable_drawing(cfg, 'images', False, 5, 1.0)
    assert cfg.optim_wrapper.type.endswith('MixedPrecisionOptimWrapper')
    assert len(cfg.custom_hooks) == 1
    hook = cfg.default_hooks.visualization
    assert (hook.enable, hook.out_dir, hook.interval) == (True, 'images', 5)
    assert Config.fromstring(cfg.pretty_text, '.py').optim_wrapper.dtype == 'auto'


def test_amp_does_not_replace_an_unknown_wrapper(cfg):
    cfg.optim_wrapper.type = 'DeepSpeedOptimWrapper'
    with pytest.raises(CliError, match='DeepSpeedOptimWrapper'):
        config_options.enable_amp(cfg)
