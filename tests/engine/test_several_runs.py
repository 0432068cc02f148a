# SPDX-License-Identifier: Apache-2.0
"""Several runs in one process: each logs, counts and draws for itself."""

import logging
import shutil
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger, print_log
from mmengine.model import BaseModel
from mmengine.visualization import LocalVisBackend, Visualizer
from torch import nn

from fastmetro_mm.engine.runner import MeshRunner

CURRENT = (MMLogger, MessageHub, Visualizer)


class _Model(BaseModel):
    """Notes whom it would log, count and draw with."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.met = set()

    def forward(self, *inputs, mode='tensor'):
        self.met |= {kind.get_current_instance() for kind in CURRENT}
        return dict(loss=(self.weight - 3).square()) if mode == 'loss' else []


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Builds runs of one config, all in the same second."""
    monkeypatch.setattr(time, 'time', lambda: 1.7e9)

    def build(folder: str, **more) -> MeshRunner:
        loader = dict(
            dataset=[torch.zeros(2)] * 4,
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=2,
            num_workers=0,
        )
        return MeshRunner(
            model=_Model(),
            work_dir=str(tmp_path / folder),
            cfg=Config(),
            experiment_name='same',
            train_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=1),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm=1)),
            default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=1)),
            visualizer=dict(type=Visualizer, vis_backends=[dict(type=LocalVisBackend)], **more),
        )

    return build


@pytest.mark.parametrize('name', [{}, {'name': 'visualizer'}], ids=['unnamed', 'named'])
def test_runs_of_one_second_share_nothing(make, tmp_path, name):
    runs = [make(folder, **name) for folder in 'ab']
    for part in ('logger', 'message_hub', 'visualizer', 'log_dir'):
        assert getattr(runs[0], part) != getattr(runs[1], part)
    again = make('a', **name)
    assert again.log_dir not in {run.log_dir for run in runs}
    for run in (*runs, again):
        run.train()
        assert run.model.met == {run.logger, run.message_hub, run.visualizer}
        assert 'train/grad_norm' in run.message_hub.log_scalars
        assert len(run.message_hub.log_scalars['train/loss'].data[0]) == 2
        log = next(Path(run.log_dir).glob('*.log')).read_text()
        assert log.count('Epoch(train)') == 2
        assert len(list(Path(run.log_dir).glob('vis_data/*.json'))) == 2
    assert {path.name for path in tmp_path.iterdir()} == {'a', 'b'}


def test_a_log_file_that_is_gone_ends_and_nobody_minds(make, capfd):
    run = make('a')
    for handler in run.logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close()  # as logging.config does, for a server that begins in this process
    shutil.rmtree(run.log_dir)
    for text in ('first', 'second'):
        print_log(text, 'current')
    out = capfd.readouterr().out
    assert out.count('this log file ends here') == 1
    assert 'first' in out and 'second' in out
