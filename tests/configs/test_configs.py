# SPDX-License-Identifier: Apache-2.0
"""Every config says what its name says, survives being written out, and builds here."""

import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS as ENGINE_MODELS  # noqa: F401 - fills mmengine's registries
from mmpose.apis import init_model
from mmpose.registry import METRICS, MODELS, TRANSFORMS

from fastmetro_mm import config_names, config_path
from fastmetro_mm.body.model_files import find_model_file
from fastmetro_mm.engine.config_options import load_config
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.model_zoo.model_loading import resolve_config
from fastmetro_mm.models.network_kind import model_kind

LAYERS = {'s': 1, 'm': 2, 'l': 3}
BACKBONES = {'r50': 'R50', 'h64': 'H64'}
OFFICIAL = [name for name in config_names() if name.startswith('fastmetro_')]


def load(name: str) -> Config:
    return Config.fromfile(config_path(name))


@pytest.fixture(scope='module')
def body_data(shared_dir, tmp_path_factory):
    """Official matrices, and open models under the names of the licensed files.

    The open models have the layout of SMPL and MANO files, so they stand in for them here.
    """
    folder = tmp_path_factory.mktemp('body_models')
    for file in (shared_dir / 'data' / 'metro').iterdir():
        shutil.copy(file, folder / file.name)
    shutil.copy(find_model_file('open_body'), folder / 'SMPL_NEUTRAL.npz')
    shutil.copy(find_model_file('open_hand'), folder / 'MANO_RIGHT.npz')
    return folder


def test_the_released_checkpoints_have_configs():
    assert {
        'fastmetro_s_r50_h36m', 'fastmetro_l_h64_h36m', 'fastmetro_s_r50_3dpw',
        'fastmetro_l_h64_3dpw', 'fastmetro_l_h64_freihand', 'fastmetro_smpl_l_h64_h36m',
        'fastmetro_smpl_l_h64_3dpw', 'quickstart',
    } <= set(config_names())  # fmt: skip


@pytest.mark.parametrize('name', config_names())
def test_config_survives_being_written_and_read(name, tmp_path):
    cfg = load(name)
    cfg.dump(tmp_path / 'dumped.py')
    again = Config.fromfile(tmp_path / 'dumped.py')
    # classes come back as their import paths
    kind = cfg.model.neck.type
    assert again.model.neck.type.rpartition('.')[2] == kind.__name__
    for key in ('body_data_root', 'randomness', 'train_cfg', 'default_hooks', 'val_evaluator'):
        assert key in again
    assert again.optim_wrapper.clip_grad == cfg.optim_wrapper.clip_grad
    assert again.model.neck.num_layers == cfg.model.neck.num_layers
    assert again.train_dataloader.dataset.ann_file == cfg.train_dataloader.dataset.ann_file


@pytest.mark.parametrize('name', config_names())
def test_loaders_run_the_pipelines_that_the_config_shows(name):
    """What ``read_base`` gives are copies: a changed pipeline must be handed to its loader."""
    cfg = load(name)
    assert cfg.train_dataloader.dataset.pipeline == cfg.train_pipeline
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.pipeline == cfg.test_pipeline


def test_the_quickstart_shows_its_backbone_crops_that_fill_the_grid():
    cfg = load('quickstart_movenet')
    pipelines = [cfg[f'{part}_dataloader'].dataset.pipeline for part in ('train', 'val', 'test')]
    sizes = [step['size'] for steps in pipelines for step in steps if 'size' in step]
    assert [(size // 32,) * 2 for size in sizes] == [cfg.model.neck.feature_size] * 3


def test_the_quickstart_trains_its_up_sampling_slowly():
    from mmengine.optim import build_optim_wrapper

    cfg = load('quickstart_movenet')
    head = MODELS.build(dict(cfg.model.head, body='open_body', criterion=None))
    wrapper = build_optim_wrapper(torch.nn.ModuleDict(dict(head=head)), cfg.optim_wrapper)
    rates = {weight.shape: group['lr'] for group in wrapper.param_groups
             for weight in group['params']}  # fmt: skip
    for shape, rate in rates.items():
        assert rate == pytest.approx(2e-5 if shape[:1] == (1723,) else 2e-3)
    assert {(1723, 431), (1723,), (3, 64)} <= set(rates)


@pytest.mark.parametrize('name', OFFICIAL)
def test_config_is_what_its_name_says(name, body_data, monkeypatch):
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(body_data))
    cfg = load(name)
    words = name.split('_')
    size, backbone, data = [word for word in words if word != 'smpl'][1:4]
    if backbone == 'h64':
        # the network itself is built in the parity tests; here a narrow one of the same kind
        cfg.model.backbone.width = 18
    model = init_model(cfg, device='cpu')
    kind = model_kind(model)
    assert kind.size == size.upper()
    assert LAYERS[size] == len(model.neck.transformer_2.decoder.layers)
    assert kind.backbone == ('H18' if backbone == 'h64' else BACKBONES[backbone])
    assert kind.has_smpl_head == ('smpl' in words)
    assert kind.part == ('hand' if data == 'freihand' else 'body')
    assert model.dataset_meta['num_keypoints'] == (21 if kind.part == 'hand' else 14)

    epochs, rate = {'h36m': (60, 1e-4), '3dpw': (8, 2e-5), 'freihand': (200, 1e-4)}[data]
    assert cfg.train_cfg.max_epochs == epochs
    modern = 'modern' in words  # its rates: test_modern_schedule...
    assert cfg.optim_wrapper.optimizer.lr == (1e-3 if modern else rate)
    assert cfg.optim_wrapper.optimizer.weight_decay == 1e-4
    assert cfg.optim_wrapper.clip_grad.max_norm == 0.3
    assert cfg.train_dataloader.batch_size == 16
    if not modern:  # the rate never drops
        assert cfg.param_scheduler[0].step_size >= epochs
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for transform in loader.dataset.pipeline:
            TRANSFORMS.build(transform)
    for metric in cfg.val_evaluator:
        METRICS.build(metric)


@pytest.mark.parametrize('name', ['fastmetro_s_r50_h36m', 'fastmetro_s_r50_freihand'])
def test_official_network_takes_a_training_step(name, body_data, monkeypatch):
    from mmengine.structures import InstanceData

    from fastmetro_mm.structures import MeshDataSample

    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(body_data))
    cfg = load(name)
    cfg.model.backbone.init_cfg = None
    hand = 'freihand' in name
    model = MODELS.build(cfg.model)
    model.init_weights()
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(2):
        labels = InstanceData()
        labels.joints_2d = torch.ones(1, 21 if hand else 24, 3) * 0.1
        labels.joints_3d = torch.ones(1, 21 if hand else 24, 4) * 0.1
        labels.pose = torch.tensor(rng.normal(size=(1, 48 if hand else 72)), dtype=torch.float32)
        labels.betas = torch.zeros(1, 10)
        labels.has_smpl = labels.has_2d = labels.has_3d = torch.ones(1)
        sample = MeshDataSample()
        sample.gt_instance_labels = labels
        samples.append(sample)
    losses = model(torch.randn(2, 3, 224, 224), samples, mode='loss')
    losses['loss_mesh'].backward()
    assert torch.isfinite(losses['loss_mesh'])
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_missing_body_file_stops_before_training(shared_dir, monkeypatch):
    """The official matrices alone build the network; training asks for the SMPL file by name."""
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(shared_dir / 'data' / 'metro'))
    cfg = load('fastmetro_s_r50_h36m')
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    with pytest.raises(FileNotFoundError, match='SMPL_NEUTRAL') as error:
        model.init_weights()
    assert '\n' not in str(error.value)
    assert 'fastmetro prepare' in str(error.value)


def test_text_style_configs_work_with_custom_imports(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(
        "custom_imports = dict(imports=['fastmetro_mm'], allow_failed_imports=False)\n"
        "model = dict(type='TopdownMeshEstimator', body=dict(name='open_body'),\n"
        "    backbone=dict(type='ResNet', depth=18),\n"
        "    neck=dict(type='FastMETRONeck', in_channels=512, embed_dims=(32, 16),\n"
        '        feedforward_dims=(64, 32), num_layers=1, num_heads=2),\n'
        "    head=dict(type='FastMETROHead', in_channels=16))\n"
        "train_dataloader = dict(dataset=dict(type='MeshTSVDataset'))\n"
        "test_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadMeshImage'),\n"
        "    dict(type='BoxToCenterScale'), dict(type='MeshCrop', size=64),\n"
        "    dict(type='PackMeshInputs')]))\n"
    )
    model = init_model(str(path), device='cpu')
    assert type(model).__name__ == 'TopdownMeshEstimator'
    assert model.dataset_meta['num_keypoints'] == 14


@pytest.mark.parametrize('read', [load_config, resolve_config])
def test_python_configs_import_what_they_name_too(read, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f'mine_{read.__name__}'
    (tmp_path / f'{name}.py').write_text(
        'from mmpose.registry import MODELS\n'
        f'MODELS.register_module(name={name!r}, module=type({name!r}, (), {{}}))\n'
    )
    path = tmp_path / 'config.py'
    path.write_text(
        'from mmengine.config import read_base\n'
        'with read_base():\n'
        '    from .base import *\n'
        f'custom_imports = dict(imports=[{name!r}])\n'
    )
    (tmp_path / 'base.py').write_text("data_root = 'data'\n")
    assert read(str(path)).data_root == 'data'
    assert MODELS.get(name).__name__ == name
    for wrong in ("dict(imports=['not_there'])", "dict(modules=['a'])", "['a']"):
        path.write_text(f'custom_imports = {wrong}\n')
        with pytest.raises(ConfigError, match=r'config\.py: custom_imports=.*not_there|expected'):
            read(str(path))


def test_modern_schedule_rises_falls_and_spares_the_backbone():
    """The learning rate of every epoch of a run, without the run."""
    from mmengine.optim import build_optim_wrapper

    from fastmetro_mm.engine import MixedPrecisionOptimWrapper

    cfg = load('fastmetro_s_r50_h36m_modern')
    assert cfg.train_cfg.max_epochs == 60
    model = torch.nn.ModuleDict(dict(backbone=torch.nn.Linear(2, 2), neck=torch.nn.Linear(2, 2)))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    assert type(wrapper) is MixedPrecisionOptimWrapper
    # a group a parameter, in the order of the modules
    backbone, neck = wrapper.param_groups[0], wrapper.param_groups[-1]
    steps = 10
    schedulers = [
        scheduler.type.build_iter_from_epoch(
            optimizer=wrapper,
            epoch_length=steps,
            **{
                key: value
                for key, value in scheduler.items()
                if key not in ('type', 'convert_to_iter_based')
            },
        )
        for scheduler in cfg.param_scheduler
    ]
    rates = []
    for _ in range(60 * steps):
        rates.append(neck['lr'])
        assert backbone['lr'] == pytest.approx(0.1 * neck['lr'])
        wrapper.optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert rates[0] == pytest.approx(5e-5)
    assert max(rates) == pytest.approx(1e-3, rel=1e-3)
    assert 2 * steps <= rates.index(max(rates)) <= 4 * steps
    assert rates[-1] == pytest.approx(1e-5, rel=0.02)
