# SPDX-License-Identifier: Apache-2.0
"""Whatever a checkpoint looks like, its weights arrive whole or one line says why not."""

import itertools
import re
from types import SimpleNamespace

import mmengine.runner
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop
from mmpose.registry import MODELS

from fastmetro_mm.config_files import config_names, config_path
from fastmetro_mm.engine import PlainCheckpointHook, read_checkpoint
from fastmetro_mm.errors import CheckpointError
from fastmetro_mm.models import weight_loading
from fastmetro_mm.models.network_kind import NetworkKind, kind_of
from fastmetro_mm.models.official_checkpoint import to_official


def build(body='open_body', layers=1, smpl=False, **changes):
    """A small estimator with the same kind of backbone as the quickstart."""
    head = dict(type='SMPLRegressorHead', hidden_dim=16, criterion=dict(type='SMPLParamLoss'))
    criterion = dict(type='HandMeshLoss' if body == 'open_hand' else 'FastMETROLoss')
    model = MODELS.build(
        dict(
            type='TopdownMeshEstimator',
            body=dict(name=body),
            backbone=dict(
                type='ResNet',
                depth=18,
                num_stages=3,
                strides=(1, 2, 2),
                dilations=(1, 1, 1),
                out_indices=(2,),
            ),
            neck=dict(
                type='FastMETRONeck',
                in_channels=256,
                embed_dims=(32, 16),
                num_joints=21 if body == 'open_hand' else 14,
                feedforward_dims=(64, 32),
                num_layers=layers,
                num_heads=2,
                feature_size=(2, 2),
            ),
            head=dict(type='FastMETROHead', in_channels=16, criterion=criterion),
            smpl_head=head if smpl else None,
            **changes,
        )
    )
    model.init_weights()
    return model


@pytest.fixture(scope='module')
def trained():
    """Weights that no initialisation gives."""
    torch.manual_seed(1)
    model = build()
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.5, 1.5)
    return {key: value.clone() for key, value in model.state_dict().items()}


def _prefixed(prefix):
    return lambda state: {f'{prefix}{key}': value for key, value in state.items()}


def _nested(*names):
    def nest(state):
        for name in reversed(names):
            state = {name: state}
        return state

    return nest


def _lightning(state):
    return {
        'pytorch-lightning_version': '2.4.0',
        'epoch': 3,
        'global_step': 9,
        'state_dict': {f'model.{key}': value for key, value in state.items()},
        'optimizer_states': [{'state': {0: {'exp_avg': torch.zeros(3)}}}],
        'hyper_parameters': {'lr': 0.1},
    }


FORMS = {
    'as it is': lambda state: state,
    'module': _prefixed('module.'),
    '_orig_mod': _prefixed('_orig_mod.'),
    'module._orig_mod': _prefixed('module._orig_mod.'),
    'inside': lambda state: {key.replace('backbone.', 'backbone._orig_mod.'): value
                             for key, value in state.items()},
    'model': _prefixed('model.'),
    'net': _prefixed('net.'),
    'module.model.net': _prefixed('module.model.net.'),
    **{name: _nested(name) for name in (
        'model', 'ema_state_dict', 'params_ema', 'net_state', 'weights', 'model_state_dict',
        'params', 'network', 'state_dict')},
    'nested twice': _nested('state_dict', 'state_dict'),
    'nested deeper': _nested('checkpoint', 'model', 'state_dict'),
    'lightning': _lightning,
    'averaged beside': lambda state: {
        'state_dict': state, 'ema_state_dict': {k: v * 0 for k, v in state.items()}},
    'optimizer beside': lambda state: {
        'model': state, 'optimizer': {'state': {'a': {'exp_avg': torch.zeros(2)}}},
        'epoch': 3, 'ema_decay': torch.tensor(0.9)},
    'arrays': lambda state: {key: value.numpy() for key, value in state.items()},
    'big-endian arrays': lambda state: {
        key: value.numpy().astype(value.numpy().dtype.newbyteorder('>'))
        for key, value in state.items()},
    'sparse': lambda state: {key: value.to_sparse() if value.ndim == 2 else value
                             for key, value in state.items()},
    'double': lambda state: {key: value.double() if value.is_floating_point() else value
                             for key, value in state.items()},
    'official': to_official,
    'official in module': lambda state: _prefixed('module.')(to_official(state)),
    'extra entry': lambda state: {**state, 'loss.weight': torch.ones(1), 'note': 'x'},
    'no counters': lambda state: {key: value for key, value in state.items()
                                  if 'num_batches_tracked' not in key},
}  # fmt: skip


@pytest.mark.parametrize('form', FORMS)
def test_every_form_loads_the_same_weights(tmp_path, trained, form):
    torch.save(FORMS[form](trained), tmp_path / 'a.pth')
    content = torch.load(tmp_path / 'a.pth', weights_only=False)
    for load in (
        lambda model: model.load_state_dict(content, strict=False),
        lambda model: mmengine.runner.checkpoint._load_checkpoint_to_model(model, content),
    ):
        model = build()
        load(model)
        for key, value in model.state_dict().items():
            if 'num_batches_tracked' not in key:
                assert torch.equal(value, trained[key]), key


REFUSED = {
    'nothing': (lambda state: {}, 'holds no weights'),
    'numbers only': (lambda state: {'epoch': 3, 'meta': {'a': np.zeros(3)}}, 'holds no weights'),
    'two sets': (
        lambda state: {'params': state, 'params_ema': state},
        r'several sets of weights \(params, params_ema\)',
    ),
    'meta': (lambda state: {k: v.to('meta') for k, v in state.items()}, 'meta tensor'),
    'nan': (
        lambda state: {**state, 'head.cam_predictor.bias': torch.full((3,), float('nan'))},
        'cam_predictor.bias holds NaN',
    ),
    'integers': (lambda state: {k: v.long() for k, v in state.items()}, 'int64, expected'),
    'texts': (
        lambda state: {k: np.full(v.shape, 'x') for k, v in state.items()},
        'expected numbers',
    ),
    'no head': (
        lambda state: {k: v for k, v in state.items() if not k.startswith('head.')},
        r'entries are missing, e\.g\. head\.',
    ),
    'backbone alone': (
        lambda state: {k: v for k, v in state.items() if 'backbone' in k},
        'entries are missing',
    ),
    'METRO': (lambda state: {'trans_encoder.0.bert.x': torch.zeros(2)}, 'a METRO network'),
}


@pytest.mark.parametrize('what', REFUSED)
def test_the_rest_is_refused_in_one_line(trained, what):
    change, message = REFUSED[what]
    model = build()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as error:
        model.load_state_dict(change(trained), strict=False)
    assert str(error.value).startswith('this checkpoint ') and '\n' not in str(error.value)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_advice_never_leads_to_a_random_network(trained):
    """Partial loading is offered where most of the network fits, and says what it is for."""
    model = build()
    for keep, offered in (('backbone.conv1', False), ('', True)):
        part = {
            key: value
            for key, value in trained.items()
            if key.startswith(keep) and key != 'head.cam_predictor.bias'
        }
        with pytest.raises(CheckpointError) as error:
            model.check_weights(part)
        assert ('partial_checkpoint=True' in str(error.value)) == offered
        assert ('To start a training (not a test)' in str(error.value)) == offered


def test_partial_loading_says_its_share_and_refuses_none(trained, monkeypatch):
    said = []
    monkeypatch.setattr(weight_loading, 'print_log', lambda text, *_, **__: said.append(text))
    model = build(partial_checkpoint=True)
    part = {key: value for key, value in trained.items() if key.startswith('backbone.')}
    part['neck.joint_token_embed.weight'] = torch.zeros(17, 32)  # another number of joints
    model.load_state_dict(part, strict=False)
    own = model.state_dict()
    numbers = sum(
        own[key].numel() for key in part if key.startswith('backbone.') and 'num_batches' not in key
    )
    total = sum(value.numel() for key, value in own.items() if 'num_batches' not in key)
    assert f'({100 * numbers / total:.0f} % of its numbers)' in said[0]
    assert torch.equal(own['backbone.conv1.weight'], trained['backbone.conv1.weight'])
    for content in (
        {'x.weight': torch.zeros(2)},
        build('open_hand').head.state_dict(),
        {'neck.joint_token_embed.weight': torch.zeros(17, 32)},
    ):
        with pytest.raises(CheckpointError, match='fills 0 of'):
            model.load_state_dict(content, strict=False)


def test_entries_that_were_not_copied_are_noticed(trained, monkeypatch):
    """The proof does not trust the loader: here it drops one entry."""
    model = build()
    neck = model.neck
    load = neck._load_from_state_dict
    part = neck.conv_1x1

    def forget(state_dict, prefix, *args):
        for key in list(state_dict):
            if 'conv_1x1' in key:
                del state_dict[key]
        load(state_dict, prefix, *args)

    monkeypatch.setattr(neck, '_load_from_state_dict', forget)
    monkeypatch.setattr(part, '_load_from_state_dict', lambda *args: None)
    with pytest.raises(CheckpointError, match=r'entries were not taken over.*neck\.conv_1x1'):
        model.load_state_dict(trained, strict=False)


@pytest.mark.parametrize('body', ['open_body', 'open_hand'])
def test_own_networks_go_to_official_names_and_back(body):
    model = build(body)
    official = to_official(model.state_dict())
    other = build(body)
    other.load_state_dict(official, strict=False)
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    assert kind_of(official) == kind_of(model.state_dict())
    with pytest.raises(CheckpointError, match='but the config describes') as error:
        build(body, layers=2).check_weights(official)
    assert 'configs/' not in str(error.value)


def test_no_message_names_a_config_that_does_not_exist():
    """Every kind of network that a message may be about, against the shipped configs."""
    named = set()
    for part, size, backbone, smpl in itertools.product(
        ('body', 'hand'),
        ('S', 'M', 'L', '6-layer'),
        (
            'R18',
            'R34',
            'R50',
            'R101',
            'R152',
            'H18',
            'H48',
            'H64',
            'ResNet of 6 blocks',
            'another backbone',
        ),
        (False, True),
    ):
        config = NetworkKind(part, size, backbone, smpl).config
        if config is not None:
            name = re.fullmatch(r'configs/(\w+)\.py', config).group(1)
            assert name in config_names()
            named.add(name)
    assert {
        'fastmetro_s_r50_h36m',
        'fastmetro_l_h64_freihand',
        'fastmetro_smpl_l_h64_h36m',
    } <= named
    # and the configs named are of that kind
    for name in named:
        model = Config.fromfile(config_path(name)).model
        layers = {1: 's', 2: 'm', 3: 'l'}[model.neck.num_layers]
        assert f'_{layers}_' in name and ('smpl' in name) == ('smpl_head' in model)


def test_weights_of_another_network_name_the_right_config(trained):
    """A message over all pairs of kinds either names an existing config or none."""
    networks = {
        (body, layers): build(body, layers)
        for body in ('open_body', 'open_hand')
        for layers in (1, 2)
    }
    for (one, source), (other, target) in itertools.permutations(networks.items(), 2):
        with pytest.raises(CheckpointError, match='use the config it was trained with') as error:
            target.check_weights(source.state_dict())
        assert 'configs/' not in str(error.value), (one, other)


def test_smpl_head_may_be_absent_only_where_it_will_be_trained(trained):
    frozen = build(smpl=True, freeze_mesh=True)
    frozen.load_state_dict(trained, strict=False)
    assert torch.equal(
        frozen.state_dict()['head.cam_predictor.weight'], trained['head.cam_predictor.weight']
    )
    with pytest.raises(CheckpointError, match=r'missing, e\.g\. smpl_head\.'):
        build(smpl=True).load_state_dict(trained, strict=False)


@pytest.mark.parametrize('as_zip', [True, False])
@pytest.mark.filterwarnings('ignore:Couldn.t retrieve source')
def test_an_estimator_saved_whole_is_read_without_its_code(tmp_path, as_zip):
    """What the official code's ``model.bin`` is: the network object, its hooks and all."""
    model = build()
    torch.save(model, tmp_path / 'model.bin', _use_new_zipfile_serialization=as_zip)
    content = read_checkpoint(tmp_path / 'model.bin')
    other = build()
    for value in other.parameters():
        torch.nn.init.constant_(value, 0.5)
    other.load_state_dict(content['state_dict'], strict=False)
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])


def test_a_test_without_weights_for_the_smpl_head_is_refused(trained, monkeypatch):
    """Its random parameters would be scored; a training of the head may start so."""
    model = build(smpl=True, freeze_mesh=True)
    hook = PlainCheckpointHook()
    runner = SimpleNamespace(
        model=model, work_dir='wd', _load_from='mesh.pth', _resume=False, _train_loop=None
    )
    with pytest.raises(CheckpointError, match=r'^mesh\.pth: holds no SMPL head.*mesh alone'):
        hook.after_load_checkpoint(runner, {'state_dict': dict(trained)})
    runner._train_loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    checkpoint = {'params': {f'module.{key}': value for key, value in trained.items()}}
    hook.after_load_checkpoint(runner, checkpoint)
    assert set(checkpoint['state_dict']) == set(trained)  # where mmengine looks for it
    runner._train_loop = None
    hook.after_load_checkpoint(runner, {'state_dict': model.state_dict()})
