# SPDX-License-Identifier: Apache-2.0
"""mmengine's hooks that go through all buffers and parameters, with a real network.

Whatever a network made while it runs would be on one process only, or in the network and not in
its average: the collective operations of ``SyncBuffersHook`` and the swaps of ``EMAHook`` break.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.structures import InstanceData
from mmpose.registry import HOOKS, MODELS, VISUALIZERS

import fastmetro_mm
from fastmetro_mm.structures import MeshDataSample


def batch():
    """A crop of noise with what prediction, drawing and losses need."""
    sample = MeshDataSample()
    sample.set_metainfo(
        dict(img_key='noise', input_size=(96, 96), crop_to_image=np.eye(2, 3, dtype=np.float32))
    )
    sample.gt_instances = InstanceData(
        bboxes=np.array([[0, 0, 96, 96]], np.float32), bbox_scores=np.ones(1, np.float32)
    )
    labels = InstanceData()
    labels.joints_2d, labels.joints_3d = torch.zeros(1, 24, 3), torch.zeros(1, 24, 4)
    labels.pose, labels.betas = torch.zeros(1, 72), torch.zeros(1, 10)
    labels.has_smpl = labels.has_2d = labels.has_3d = torch.ones(1)
    sample.gt_instance_labels = labels
    pixels = torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8)
    return dict(inputs=[pixels], data_samples=[sample])


@pytest.fixture(scope='module')
def runner(tmp_path_factory):
    """Stands for a runner with the network of the quickstart and an SMPL head."""
    cfg = Config.fromfile(fastmetro_mm.config_path('quickstart_smpl'))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    visualizer = VISUALIZERS.build(dict(type='MeshVisualizer', name='hooks_and_network', views=()))
    return SimpleNamespace(
        model=model,
        visualizer=visualizer,
        iter=0,
        epoch=0,
        max_iters=10,
        max_epochs=1,
        work_dir=str(tmp_path_factory.mktemp('hooks')),
        _train_loop=SimpleNamespace(iter=0, epoch=0),
        train_dataloader=SimpleNamespace(dataset=None),
    )


def test_drawing_in_training_makes_no_buffer(runner, tmp_path):
    """Rank 0 alone draws: it must keep the buffers that the other ranks have."""
    before = {name: buffer.shape for name, buffer in runner.model.named_buffers()}
    hook = HOOKS.build(
        dict(type='MeshVisualizationHook', enable=True, train_interval=1, out_dir=str(tmp_path))
    )
    hook.before_run(runner)
    hook.after_train_iter(runner, 0, batch(), None)
    assert len(list(tmp_path.rglob('*.jpg'))) == 1
    assert {name: buffer.shape for name, buffer in runner.model.named_buffers()} == before


def test_moving_average_of_a_network_with_an_smpl_head(runner):
    model = runner.model
    hook = EMAHook(momentum=0.5)
    hook.before_run(runner)
    hook.before_train(runner)
    for step in range(2):  # training, validation with the average, a checkpoint, and again
        model.train()
        with torch.no_grad():
            model.smpl_head.regressor[-1].bias.fill_(float(step + 1))
        hook.after_train_iter(runner, step)
        hook.before_val_epoch(runner)
        model.eval()
        with torch.no_grad():
            model.test_step(batch())
        hook.after_val_epoch(runner)
        checkpoint = dict(state_dict=model.state_dict())
        hook.before_save_checkpoint(runner, checkpoint)
    key = 'smpl_head.regressor.3.bias'
    assert torch.equal(checkpoint['ema_state_dict'][f'module.{key}'], torch.full((226,), 2.0))
    # the first average is the weights themselves: 1, then half way to 2
    assert torch.equal(checkpoint['state_dict'][key], torch.full((226,), 1.5))
    assert float(model.smpl_head.regressor[-1].bias[0]) == 2
