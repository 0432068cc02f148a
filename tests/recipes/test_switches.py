# SPDX-License-Identifier: Apache-2.0
"""Switches of docs/training.md that are not recipes: accumulation, TensorBoard, other runners."""

import importlib.util

import pytest
import torch

TENSORBOARD = {'visualizer.vis_backends.0.type': 'TensorboardVisBackend'}
HAS_TENSORBOARD = importlib.util.find_spec('tensorboard') is not None


def test_accumulated_batches_make_fewer_steps(train, people, tmp_path):
    work_dir = train(
        'quickstart', tmp_path, people, '--no-validate', **{'optim_wrapper.accumulative_counts': 2}
    )
    checkpoint = torch.load(work_dir / 'epoch_1.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 4
    assert {int(state['step']) for state in checkpoint['optimizer']['state'].values()} == {2}


def test_flexible_runner_trains_in_one_process(train, people, tmp_path):
    """The runner of strategies of mmengine, with our hooks."""
    work_dir = train('quickstart', tmp_path, people, runner_type='FlexibleRunner')
    state = torch.load(work_dir / 'epoch_1.pth', weights_only=True)['state_dict']
    assert 'head.xyz_regressor.weight' in state
    assert len(list(work_dir.glob('best_PA-MPJPE_epoch_1.pth'))) == 1


def test_graphs_are_for_our_own_runner(train, people, tmp_path, capsys):
    options = {'runner_type': 'FlexibleRunner', 'env_cfg.cuda_graphs': True}
    with pytest.raises(SystemExit):
        train('quickstart', tmp_path, people, **options)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith('error: ') and 'cuda_graphs' in last and 'FlexibleRunner' in last


@pytest.mark.skipif(HAS_TENSORBOARD, reason='tensorboard is installed')
def test_missing_tensorboard_is_one_line(train, people, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        train('quickstart', tmp_path, people, '--no-validate', **TENSORBOARD)
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith('error: ') and 'tensorboard' in last


@pytest.mark.skipif(not HAS_TENSORBOARD, reason='tensorboard is not installed')
def test_tensorboard_gets_losses_and_scores(train, people, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    work_dir = train('quickstart', tmp_path, people, **TENSORBOARD)
    (file,) = work_dir.rglob('events.out.tfevents.*')
    events = EventAccumulator(str(file.parent))
    events.Reload()
    assert {'loss', 'v_fine', 'lr', 'grad_norm', 'PA-MPJPE'} <= set(events.Tags()['scalars'])
