# SPDX-License-Identifier: Apache-2.0
"""An accelerated network answers as the plain one does."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmpose.registry import MODELS

from fastmetro_mm.config_files import config_path
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.speed import acceleration
from fastmetro_mm.speed.acceleration import accelerate, half_precision, restore
from fastmetro_mm.speed.packed import PackedConv2d, PackedLinear, can_pack


class OtherOrder(BaseModule):
    """Normalises before it convolves, which the order of its parts does not tell."""

    def __init__(self):
        super().__init__()
        self.patches = torch.nn.Conv2d(3, 256, 16, stride=16)
        self.norm = torch.nn.BatchNorm2d(256)
        self.mix = torch.nn.Conv2d(256, 256, 3, padding=1)
        self.late_norm = torch.nn.BatchNorm2d(256)

    def forward(self, x):
        return (self.mix(self.norm(self.late_norm(self.patches(x)).relu())),)


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """BatchNorm statistics and biases that fusing can get wrong."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            torch.nn.init.normal_(module.bias, 0, 0.2, generator=generator)
    return model.eval()


@pytest.fixture(scope='module', params=['resnet', 'hrnet', 'other blocks', 'other order'])
def network(request):
    torch.manual_seed(0)
    cfg = Config.fromfile(config_path('quickstart'))
    if request.param == 'other blocks':
        cfg.model.backbone = dict(type='SEResNet', depth=50)
        cfg.model.neck.in_channels = 2048
    if request.param == 'other order':
        cfg.model.backbone = dict(type=OtherOrder)
    if request.param == 'hrnet':
        cfg.model.backbone = dict(type='FusedHRNet', width=18)
        cfg.model.neck.in_channels = 2048
    return shaken(MODELS.build(cfg.model))


def test_a_backbone_without_batch_norm_is_not_run_to_look_for_it():
    class Counted(torch.nn.Conv2d):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    backbone = Counted(3, 4, 1)
    assert acceleration._without_batch_norm(backbone) is backbone and not backbone.calls


@pytest.fixture(scope='module')
def images():
    return torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(1))


def vertices(network, images):
    with torch.no_grad():
        return network(images, None, mode='tensor').vertices


def test_exact_is_the_same_up_to_rounding(network, images):
    expected = vertices(network, images)
    fast = accelerate(copy.deepcopy(network), 'exact')
    for x, wanted in ((images, expected), (images[:1], expected[:1]), (images, expected)):
        torch.testing.assert_close(vertices(fast, x), wanted, rtol=1e-5, atol=2e-5)
    kinds = {type(module) for module in fast.modules()}
    assert (torch.nn.BatchNorm2d in kinds) == isinstance(network.backbone, OtherOrder)
    if can_pack(torch.device('cpu')):
        assert {PackedConv2d, PackedLinear} <= kinds


@pytest.mark.skipif(not can_pack(torch.device('cpu')), reason='no packed operators here')
@pytest.mark.parametrize('sizes', [(1, 3, 1), (3, 1, 3)])
def test_one_image_and_several_are_packed_apart(sizes):
    conv = torch.nn.Conv2d(64, 256, 1).requires_grad_(False)
    packed = PackedConv2d(conv)
    for size in sizes:
        x = torch.randn(size, 64, 14, 14)
        torch.testing.assert_close(packed(x), conv(x), rtol=1e-5, atol=1e-5)
    assert sorted(packed._packed) == [False, True]


def test_without_the_operators_it_still_answers(network, images, monkeypatch):
    monkeypatch.setattr(acceleration, 'can_pack', lambda device: False)
    fast = accelerate(copy.deepcopy(network), 'exact')
    assert not any(isinstance(module, PackedConv2d) for module in fast.modules())
    torch.testing.assert_close(
        vertices(fast, images), vertices(network, images), rtol=1e-5, atol=2e-5
    )


def test_fast_gives_float32_coordinates_near_the_exact_ones(network, images, monkeypatch):
    monkeypatch.setattr(acceleration, 'half_precision', lambda device: torch.bfloat16)
    expected = vertices(network, images)
    fast = accelerate(copy.deepcopy(network), 'fast')
    out = vertices(fast, images)
    assert out.dtype == torch.float32
    # an untrained network; what it is for trained weights is measured in docs/performance.md
    assert (out - expected).norm(dim=2).mean() < 0.02 * expected.norm(dim=2).mean() + 1e-3
    assert not torch.equal(out, expected)


def test_type_follows_the_hardware(monkeypatch):
    assert half_precision(torch.device('cuda')) == torch.float16
    for has, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(acceleration, 'cpu_has_bfloat16', lambda has=has: has)
        assert half_precision(torch.device('cpu')) == dtype


def test_misuse_is_refused(network):
    with pytest.raises(ValueError, match='exact'):
        accelerate(network, 'faster')
    with pytest.raises(ValueError, match='GPUs'):
        accelerate(network, 'exact', compiled=True)
    with pytest.raises(ValueError, match='eval'):
        accelerate(copy.deepcopy(network).train(), 'exact')


def test_channels_last_changes_no_number(network, images):
    other = copy.deepcopy(network)
    other.use_channels_last()
    torch.testing.assert_close(
        vertices(other, images), vertices(network, images), rtol=1e-5, atol=2e-5
    )


def test_an_accelerated_network_gives_its_weights_and_goes_back(network, images):
    expected, wanted = vertices(network, images), network.state_dict()
    fast = accelerate(copy.deepcopy(network), 'exact')
    vertices(fast, images)
    state = fast.state_dict()
    assert set(state) == set(wanted)
    assert all(torch.equal(state[key], wanted[key]) for key in wanted)
    for strict in (True, False):
        with pytest.raises(ConfigError, match='restore'):
            fast.load_state_dict(wanted, strict=strict)
    with pytest.raises(ConfigError, match='already'):
        accelerate(fast)
    again = restore(fast)
    assert torch.equal(vertices(again, images), expected)
    again.load_state_dict({key: value + 1 for key, value in wanted.items()})
    assert torch.equal(again.state_dict()['neck.conv_1x1.bias'], wanted['neck.conv_1x1.bias'] + 1)
    assert all(parameter.requires_grad for parameter in again.parameters())
    with pytest.raises(ConfigError, match='not accelerated'):
        restore(again)


def test_without_the_plain_parts_nothing_is_silently_left_out(network):
    fast = accelerate(copy.deepcopy(network), 'exact', keep_plain=False)
    with pytest.raises(ConfigError, match='load the checkpoint again'):
        fast.state_dict()
    with pytest.raises(ConfigError, match='load the checkpoint again'):
        restore(fast)
