# SPDX-License-Identifier: Apache-2.0
"""Training replays what it recorded for the first batch, and only that."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from fastmetro_mm.config_files import config_path
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.speed import cuda_training
from fastmetro_mm.speed.cuda_training import TrainingGraphs, record_training, train_on_gpu


@pytest.fixture(scope='module')
def plain():
    torch.manual_seed(0)
    cfg = Config.fromfile(config_path('quickstart'))
    cfg.model.neck.dropout = 0.0
    return MODELS.build(cfg.model).train()


def images(batch, size=64):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(batch))


def tokens_and_gradient(network, image):
    network.zero_grad()
    tokens = network.extract_feat(image)
    tokens.vertices.square().sum().backward()
    return tokens.vertices.detach(), next(network.neck.parameters()).grad.clone()


def test_the_first_shape_is_recorded_and_replayed(plain, monkeypatch):
    monkeypatch.setattr(cuda_training, '_replayable', lambda x: torch.is_grad_enabled())
    monkeypatch.setattr(cuda_training, '_autocast', lambda: (False, torch.float16))
    network, seen = copy.deepcopy(plain), []
    expected = {n: tokens_and_gradient(copy.deepcopy(plain), images(n)) for n in (2, 3)}

    def record(features, example):
        assert features.training and not isinstance(features.backbone, type(None))
        seen.append(f'recorded {len(example)}')

        def replay(inputs):
            seen.append(f'replayed {len(inputs)}')
            return features(inputs)

        return replay

    network.extract_feat = TrainingGraphs(network, record)
    for batch in (2, 3, 2):  # the last batch of an epoch is smaller
        for found, wanted in zip(
            tokens_and_gradient(network, images(batch)), expected[batch], strict=True
        ):
            torch.testing.assert_close(found, wanted)
    with torch.no_grad():
        network.extract_feat(images(2))
    network.eval()
    network.extract_feat(images(2))
    assert seen == ['recorded 2', 'replayed 2', 'replayed 2']


def test_what_cannot_be_recorded_is_trained_as_usual(plain, monkeypatch):
    monkeypatch.setattr(cuda_training, '_replayable', lambda x: True)
    monkeypatch.setattr(cuda_training, '_autocast', lambda: (False, torch.float16))
    said = []
    monkeypatch.setattr(cuda_training, 'print_log', lambda text, *_: said.append(text))

    def record(features, example):
        raise RuntimeError('operation not permitted')

    network = copy.deepcopy(plain)
    network.extract_feat = TrainingGraphs(network, record)
    for _ in range(2):
        assert torch.isfinite(network.extract_feat(images(2)).vertices).all()
    assert len(said) == 1 and 'not permitted' in said[0]


def test_running_statistics_stay_what_they_were(plain, monkeypatch):
    def run_three_times(features, example, allow_unused_input):
        for _ in range(3):
            features(*example)
        return features

    monkeypatch.setattr(torch.cuda, 'make_graphed_callables', run_three_times)
    monkeypatch.setattr(cuda_training, '_autocast', lambda: (False, torch.float16))
    network = copy.deepcopy(plain)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    record_training(cuda_training.Features(network), images(2))
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, before[name]), name


def test_a_network_elsewhere_runs_as_usual(plain):
    network = copy.deepcopy(plain)
    train_on_gpu(network)
    expected = tokens_and_gradient(copy.deepcopy(plain), images(2))
    for found, wanted in zip(tokens_and_gradient(network, images(2)), expected, strict=True):
        assert torch.equal(found, wanted)
    assert set(network.state_dict()) == set(plain.state_dict())


def test_accumulated_gradients_are_refused(plain, tmp_path):
    from types import SimpleNamespace

    from fastmetro_mm.engine.runner import MeshRunner

    cfg = Config(dict(optim_wrapper=dict(accumulative_counts=2)))
    with pytest.raises(ConfigError, match='drop accumulative_counts'):
        MeshRunner._replay_graphs(SimpleNamespace(cfg=cfg, distributed=False), plain)
    with pytest.raises(ConfigError, match='train on one GPU'):
        MeshRunner._replay_graphs(SimpleNamespace(cfg=Config({}), distributed=True), plain)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_replayed_gradients_are_those_of_calls(plain):
    network, other = copy.deepcopy(plain).cuda(), copy.deepcopy(plain).cuda()
    train_on_gpu(network)
    for turn in range(3):
        image = images(2).cuda() + turn
        for found, wanted in zip(
            tokens_and_gradient(network, image), tokens_and_gradient(other, image), strict=True
        ):
            torch.testing.assert_close(found, wanted, rtol=2e-2, atol=1e-3)
