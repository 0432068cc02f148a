# SPDX-License-Identifier: Apache-2.0
"""What `--tta`, `--rot` and `--sc` make of a config."""

import pytest
from mmengine.config import Config

from fastmetro_mm.config_files import config_path
from fastmetro_mm.engine.views import choose_views
from fastmetro_mm.errors import CliError


@pytest.fixture
def cfg():
    return Config.fromfile(config_path('fastmetro_s_r50_freihand'))


def kinds(pipeline):
    return [str(step['type']).rpartition('.')[2].rstrip("'>") for step in pipeline]


def test_several_views_wrap_the_crop_and_the_network(cfg):
    before = len(cfg.custom_hooks)
    choose_views(cfg, ['rot=-30,30'], None, None)
    pipeline = cfg.test_dataloader.dataset.pipeline
    assert kinds(pipeline)[-1] == 'TestTimeAug' and 'MeshCrop' not in kinds(pipeline)
    views, crop, pack = pipeline[-1]['transforms']
    assert [step['fixed']['rot'] for step in views] == [0, -30, 30]
    assert kinds([*crop, *pack]) == ['MeshCrop', 'PackMeshInputs']
    assert len(cfg.custom_hooks) == before + 1 and not cfg.custom_hooks[-1]['flips']
    Config.fromstring(cfg.pretty_text, '.py')  # a dumped config can be read again


def test_one_view_is_named_in_the_prediction_file(cfg):
    name = cfg.test_evaluator[0].pred_file.removesuffix('.json')
    choose_views(cfg, None, -90.0, 0.7)
    steps = cfg.test_dataloader.dataset.pipeline
    assert kinds(steps).index('MeshAugment') == kinds(steps).index('MeshCrop') - 1
    assert cfg.test_evaluator[0].pred_file == f'{name}-sc07_rot-90.json'


def test_views_of_the_config_come_first(cfg):
    own = [dict(type='LoadMeshImage'), dict(type='TestTimeAug', transforms=[])]
    cfg.tta_pipeline, cfg.tta_model = own, dict(type='Mine')
    choose_views(cfg, ['flip'], None, None)
    assert kinds(cfg.test_dataloader.dataset.pipeline) == ['LoadMeshImage', 'TestTimeAug']
    assert cfg.custom_hooks[-1]['tta_cfg'] == dict(type='Mine')


def test_what_has_no_meaning_is_refused(cfg):
    with pytest.raises(CliError, match='give one of both'):
        choose_views(cfg, ['flip'], 3.0, None)
    cfg.test_dataloader.dataset = dict(type='ConcatDataset')
    with pytest.raises(CliError, match='no pipeline of its own'):
        choose_views(cfg, ['flip'], None, None)
