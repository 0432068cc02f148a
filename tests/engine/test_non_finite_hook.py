# SPDX-License-Identifier: Apache-2.0
"""NaN and infinity reach neither weights nor checkpoints."""

import logging

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

from fastmetro_mm.engine import NonFiniteHook
from fastmetro_mm.errors import ConfigError, TrainingError

BAD_ITERATION = 3
NAMES = iter(range(100))


class Net(BaseModel):
    """A line after a BatchNorm, whose loss term or input can be spoilt."""

    def __init__(self, spoil: str) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.line = nn.Linear(2, 1)
        self.spoil = spoil

    def forward(self, inputs, data_samples, number, mode='loss'):
        inputs = torch.stack(inputs)
        bad = int(number[0]) in self.bad
        if bad and self.spoil == 'input':
            inputs = inputs * float('inf')
        out = self.line(self.norm(inputs)).square().mean()
        if bad and self.spoil == 'loss':
            out = out * float('nan')
        if bad and self.spoil == 'gradient':
            out = out + torch.sqrt((self.line.bias - self.line.bias.detach()).abs()).sum()
        return dict(loss=out, size=out.detach().abs())


class Points(torch.utils.data.Dataset):
    """Eight points."""

    metainfo = {}

    def __len__(self):
        return 8

    def __getitem__(self, index):
        sample = BaseDataElement(metainfo=dict(img_key=f'image_{index}'))
        sample.pose = torch.full((3,), float(index))
        return dict(
            inputs=torch.tensor([index / 8, 1 - index / 4]), data_samples=sample, number=index + 1
        )


@pytest.fixture
def train(tmp_path, caplog):
    """Train for an epoch; gives the model and the runner."""

    class AfterStep(Hook):
        """Look at the weights after an iteration that ended well."""

        def __init__(self, then):
            self.then = then

        def after_train_iter(self, *args, **kwargs):
            self.then(None)

    def run(spoil, policy='stop', bad=(BAD_ITERATION,), clip=True, accumulate=1, **options):
        torch.manual_seed(0)
        model = Net(spoil)
        model.bad = bad
        runner = Runner(
            model,
            str(tmp_path),
            experiment_name=f'non_finite_{next(NAMES)}',
            train_dataloader=dict(
                batch_size=1,
                dataset=Points(),
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            default_scope='mmengine',
            optim_wrapper=dict(
                type='OptimWrapper',
                optimizer=dict(type='AdamW', lr=0.1),
                accumulative_counts=accumulate,
                **(dict(clip_grad=dict(max_norm=1.0)) if clip else {}),
            ),
            default_hooks=dict(non_finite=NonFiniteHook(policy, **options), logger=None),
            custom_hooks=[dict(type=AfterStep, then=lambda _: run.after_step(model))],
        )
        runner.logger.addHandler(caplog.handler)
        run.runner, run.model = runner, model
        # BatchNorm needs two points
        model.norm.train(False)
        model.norm.train = lambda mode=True: model.norm
        runner.train()
        return model

    run.after_step = lambda model: None
    return run


@pytest.mark.parametrize('clip', [True, False])
@pytest.mark.parametrize('spoil', ['input', 'loss', 'gradient'])
def test_training_stops_with_the_weights_of_the_step_before(train, tmp_path, spoil, clip):
    what = 'the gradient is not finite' if spoil == 'gradient' else 'loss'
    steps = []
    train.after_step = lambda model: steps.append(model.line.weight.detach().clone())
    with pytest.raises(TrainingError, match=rf'iteration 3 \(epoch 1\).*{what}.*--resume'):
        train(spoil, clip=clip)
    assert len(steps) == 2 and torch.equal(train.model.line.weight, steps[-1])
    assert not list(tmp_path.glob('epoch_*.pth'))
    dump = torch.load(tmp_path / 'non_finite_iter_3.pth', weights_only=True)
    assert dump['iter'] == 3 and dump['epoch'] == 1
    assert dump['batch']['data_samples'][0]['metainfo'] == dict(img_key='image_2')
    assert torch.equal(dump['batch']['data_samples'][0]['pose'], torch.full((3,), 2.0))
    assert torch.equal(dump['batch']['inputs'][0], torch.tensor([0.25, 0.5]))


@pytest.mark.parametrize('spoil', ['input', 'loss', 'gradient'])
def test_skipped_step_leaves_no_trace(train, caplog, spoil):
    spoilt = train(spoil, 'skip')
    hub = train.runner.message_hub
    assert sum('this step is left out' in r.getMessage() for r in caplog.records) == 1
    assert torch.isfinite(torch.tensor(hub.get_scalar('train/grad_norm').mean()))
    assert torch.isfinite(torch.tensor(hub.get_scalar('train/loss').mean()))
    # the optimizer counts the seven steps that it took
    state = train.runner.optim_wrapper.optimizer.state[spoilt.line.weight]
    assert int(state['step']) == 7
    assert all(torch.isfinite(value).all() for value in spoilt.state_dict().values())


def test_too_many_in_a_row_stop(train):
    with pytest.raises(TrainingError, match=r'iteration 5 .*as in 2 iterations before'):
        train('loss', 'skip', bad=(3, 4, 5, 6, 7), max_in_a_row=3)


def test_single_ones_never_add_up(train):
    train('loss', 'skip', bad=(1, 3, 5, 7), max_in_a_row=2)


def test_accumulated_gradients(train):
    model = train('loss', 'skip', bad=(3,), accumulate=2)
    assert int(train.runner.optim_wrapper.optimizer.state[model.line.weight]['step']) == 3


def test_statistics_of_a_skipped_batch_are_forgotten():
    hook = NonFiniteHook('skip')
    norm = nn.BatchNorm1d(2)
    runner = type('R', (), {})()
    runner.model, runner.iter, runner.epoch, runner.work_dir = norm, 0, 0, '/nonexistent/folder'
    runner.optim_wrapper = OptimWrapper(torch.optim.SGD(norm.parameters(), lr=1.0))
    runner.message_hub = MessageHub('skipped_statistics')
    runner.logger = logging.getLogger('skipped_statistics')
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    norm(torch.full((4, 2), float('inf')))
    assert not torch.isfinite(norm.running_mean).all()
    hook._dumps = hook.max_dumps
    outputs = dict(loss=torch.tensor(float('nan')), other=torch.tensor(1.0))
    hook.after_train_iter(runner, 0, None, outputs)
    assert torch.equal(norm.running_mean, torch.zeros(2)) and list(outputs) == ['other']


def test_checkpoint_with_nan_is_not_written(train, tmp_path):
    train('nothing', bad=())
    good = (tmp_path / 'epoch_1.pth').read_bytes()
    with torch.no_grad():
        train.model.line.weight[0, 1] = float('nan')
    with pytest.raises(TrainingError, match=r'1 tensors .*line\.weight.*go on from .*epoch_1\.pth'):
        train.runner.save_checkpoint(str(tmp_path), 'epoch_1.pth')
    assert (tmp_path / 'epoch_1.pth').read_bytes() == good


def test_unknown_policy():
    with pytest.raises(ConfigError, match="policy='go on'"):
        NonFiniteHook('go on')
