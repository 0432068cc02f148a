# SPDX-License-Identifier: Apache-2.0
"""Fused AdamW makes the steps of plain AdamW, whatever order memory is in."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS
from torch import nn

from fastmetro_mm.config_files import config_path
from fastmetro_mm.speed.optimizer_layout import follow_weights


def step(weight, optimizer, seed):
    """One step with a gradient that follows from the seed."""
    gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    weight.grad = torch.empty_like(weight).copy_(gradient)
    optimizer.step()


@pytest.mark.parametrize('saved_last', [False, True])
def test_moments_of_another_layout_are_laid_out_anew(saved_last):
    start = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))

    def laid_out(last):
        order = torch.channels_last if last else torch.contiguous_format
        return nn.Parameter(start.clone(memory_format=order))

    plain = laid_out(False)
    reference = torch.optim.AdamW([plain], lr=0.1)
    before = laid_out(saved_last)
    saved = torch.optim.AdamW([before], lr=0.1, fused=True)
    for weight, optimizer in ((plain, reference), (before, saved)):
        step(weight, optimizer, 1)
    after = laid_out(not saved_last)
    resumed = torch.optim.AdamW([after], lr=0.1, fused=True)
    resumed.load_state_dict(copy.deepcopy(saved.state_dict()))
    after.data.copy_(before.data)
    assert follow_weights(resumed) == 2
    assert follow_weights(resumed) == 0
    step(plain, reference, 2)
    step(after, resumed, 2)
    torch.testing.assert_close(after, plain, rtol=1e-5, atol=1e-6)


def test_training_with_fused_steps_and_channels_last_is_training():
    """Weights after three steps, against plain AdamW on images in the usual order."""
    from mmengine.structures import InstanceData

    from fastmetro_mm.structures import MeshDataSample

    cfg = Config.fromfile(config_path('quickstart'))
    torch.manual_seed(0)
    network = MODELS.build(cfg.model)
    network.init_weights()
    samples = []
    for index in range(2):
        generator = torch.Generator().manual_seed(index)
        sample = MeshDataSample()
        sample.gt_instance_labels = InstanceData(
            joints_2d=0.3 * torch.randn(1, 24, 3, generator=generator).abs(),
            joints_3d=0.3 * torch.randn(1, 24, 4, generator=generator).abs(),
            pose=0.1 * torch.randn(1, 72, generator=generator),
            betas=torch.zeros(1, 10),
            has_smpl=torch.ones(1),
            has_2d=torch.ones(1),
            has_3d=torch.ones(1),
        )
        samples.append(sample)
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(5))
    results = []
    for last in (False, True):
        model = copy.deepcopy(network).double().train()
        model.head.criterion.double()
        if last:
            model.use_channels_last()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=last)
        for _ in range(3):
            optimizer.zero_grad()
            model(images.double(), samples, mode='loss')['loss_mesh'].backward()
            optimizer.step()
        results.append(dict(model.named_parameters()))
    assert results[1]['backbone.layer1.0.conv1.weight'].is_contiguous(
        memory_format=torch.channels_last
    )
    for name, value in results[0].items():
        torch.testing.assert_close(
            results[1][name], value, rtol=0, atol=2e-4, msg=lambda text, n=name: f'{n}: {text}'
        )
