# SPDX-License-Identifier: Apache-2.0
"""Running a network makes no module and no buffer: every shipped config, at toy size."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.registry import MODELS

from fastmetro_mm import config_names, config_path
from fastmetro_mm.structures import MeshDataSample

SIZE = 64


def toy(name):
    """The network of a config with narrow parts on the body without licence."""
    model = copy.deepcopy(Config.fromfile(config_path(name)).model)
    if model.neck.type.__name__ != 'FastMETRONeck':  # small as it is shipped
        hand = model.body.name == 'open_hand'
        return MODELS.build(model), hand, 224 if hand else 256
    hand = model.neck.num_joints == 21
    model.body = dict(name='open_hand' if hand else 'open_body')
    model.backbone = dict(type='ResNet', depth=18)
    model.neck.update(
        in_channels=512,
        embed_dims=(32, 16),
        feedforward_dims=(64, 32),
        num_heads=2,
        feature_size=(2, 2),
    )
    model.head.in_channels = 16
    if model.get('smpl_head') is not None:
        model.smpl_head.hidden_dim = 32
    return MODELS.build(model), hand, SIZE


def samples(hand, count=2):
    rng, made = np.random.default_rng(0), []
    for _ in range(count):
        sample = MeshDataSample(
            metainfo=dict(input_size=(SIZE, SIZE), crop_to_image=np.eye(2, 3, dtype=np.float32))
        )
        sample.gt_instances = InstanceData(
            bboxes=np.array([[0, 0, 64, 64]], np.float32), bbox_scores=np.ones(1, np.float32)
        )
        labels, joints = InstanceData(), 21 if hand else 24
        labels.joints_2d = torch.ones(1, joints, 3) * 0.1
        labels.joints_3d = torch.ones(1, joints, 4) * 0.1
        labels.pose = torch.tensor(rng.normal(size=(1, 48 if hand else 72)), dtype=torch.float32)
        labels.betas = torch.zeros(1, 10)
        labels.has_smpl = labels.has_2d = labels.has_3d = torch.ones(1)
        sample.gt_instance_labels = labels
        made.append(sample)
    return made


def anatomy(model):
    """Names and identities of everything that a state dict, an EMA or DDP walks over."""
    return (
        [(name, id(module)) for name, module in model.named_modules(remove_duplicate=False)],
        [
            (name, tuple(buffer.shape), buffer.dtype)
            for name, buffer in model.named_buffers(remove_duplicate=False)
        ],
        list(model.state_dict()),
    )


@pytest.mark.parametrize('name', config_names())
def test_running_a_network_makes_no_module_and_no_buffer(name):
    model, hand, size = toy(name)
    before = anatomy(model)
    crops = torch.randn(2, 3, size, size)
    model.eval()
    with torch.no_grad():
        predicted = model(crops, samples(hand), mode='predict')
        if size == SIZE:  # another size of crops
            model(torch.randn(1, 3, 2 * SIZE, SIZE), None, mode='tensor')
    assert predicted[0].body == model.body.config
    assert anatomy(model) == before
    model.train()
    if model.head.criterion is not None:  # the shipped hand model is not trained by the Runner
        losses = model(crops, samples(hand), mode='loss')
        assert all(torch.isfinite(value).all() for value in losses.values())
    assert anatomy(model) == before
    ema = copy.deepcopy(model).eval()  # as mmengine's EMAHook keeps it
    with torch.no_grad():
        ema(crops, samples(hand), mode='predict')
    pairs = zip(model.named_buffers(), ema.named_buffers(), strict=True)
    assert all(a[0] == b[0] and a[1].shape == b[1].shape for a, b in pairs)
    assert ema.body is not model.body and ema.head.body is ema.body
