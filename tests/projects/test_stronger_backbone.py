# SPDX-License-Identifier: Apache-2.0
"""``projects/stronger_backbone``: maps are as the table says, and gradients reach the backbone."""

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from fastmetro_mm.errors import ConfigError
from projects.stronger_backbone.backbones import CHOICES, TorchvisionBackbone
from projects.stronger_backbone.table import main, measure


@pytest.mark.parametrize('name', ['swin_tiny', 'swin_v2_t'])
def test_maps_are_as_the_neck_is_told(name):
    choice = CHOICES[name]
    assert measure(choice)[2] == (choice.in_channels, *choice.feature_size)


def test_patches_of_a_vit_stay_in_place():
    """The map is the encoder's tokens without the class token, row by row."""
    from torchvision.models import VisionTransformer

    network = TorchvisionBackbone('vit_b_32', image_size=128, frozen=True)
    network.net.encoder.layers = network.net.encoder.layers[:1]
    assert isinstance(network.net, VisionTransformer) and not network.train().training
    assert not any(value.requires_grad for value in network.parameters())
    image = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        seen = network(image)[0]
        own_way = network.net.encoder(
            torch.cat((network.net.class_token, network.net._process_input(image)), 1)
        )
    assert seen.shape == (1, 768, 4, 4)
    assert torch.allclose(seen[0, :, 1, 2], own_way[0, 1 + 4 + 2], atol=1e-6)


def test_unknown_networks_are_named():
    with pytest.raises(ConfigError, match="no network 'vit_huge'"):
        TorchvisionBackbone('vit_huge')
    with pytest.raises(ConfigError, match='has no map'):
        TorchvisionBackbone('resnet18')


@pytest.mark.parametrize('name', ['swin_t', 'vit_b'])
def test_configs_train(name, repo_dir):
    """A forward and backward pass through the whole network, made small."""
    path = f'projects/stronger_backbone/configs/fastmetro_l_{name}_h36m.py'
    model = Config.fromfile(repo_dir / path).model
    model.body = dict(name='open_body')
    model.backbone.pop('init_cfg', None)
    if name == 'vit_b':
        model.backbone.update(weights=None)
    else:
        model.backbone.update(depths=(1, 1, 1, 1), convert_weights=False)
    model.neck.update(num_layers=1)
    network = MODELS.build(model).train()
    prediction = network(torch.rand(1, 3, 224, 224), None, mode='tensor')
    assert prediction.vertices.shape == (1, 6890, 3)
    prediction.vertices.square().mean().backward()
    parameter = next(network.backbone.parameters())
    assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0


def test_table(capsys):
    main(['convnext_tiny'])
    row = capsys.readouterr().out.splitlines()[-1]
    assert row == '| `convnext_tiny` | 768 | (7, 7) | 27.8 M | 8.9 |'
