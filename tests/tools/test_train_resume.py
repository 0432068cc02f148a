# SPDX-License-Identifier: Apache-2.0
"""kill -9 and --resume: the resumed run equals the uninterrupted one."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

TOY = Path(__file__).parent / 'toy'
CONFIG = str(TOY / 'toy_config.py')


def tool(repo_dir, name):
    spec = importlib.util.spec_from_file_location(f'tool_{name}', repo_dir / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope='module')
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp('toy')
    (folder / 'toy.yaml').write_text('')
    sys.path.insert(0, str(TOY))
    yield folder
    sys.path.remove(str(TOY))


def arguments(workplace, work_dir, *more, name='run'):
    return [
        CONFIG,
        '--work-dir',
        str(work_dir),
        '--seed',
        '1',
        '--device',
        'cpu',
        *more,
        '--cfg-options',
        f'data_root={workplace}',
        f'experiment_name={name}_{work_dir.name}',
    ]


def train_in_subprocess(repo_dir, workplace, work_dir, *more, **variables):
    environment = dict(os.environ, PYTHONPATH=str(TOY), OMP_NUM_THREADS='1', **variables)
    command = [sys.executable, str(repo_dir / 'tools' / 'train.py')]
    return subprocess.run(
        command + arguments(workplace, work_dir, *more),
        env=environment,
        cwd=workplace,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope='module')
def uninterrupted(repo_dir, workplace):
    work_dir = workplace / 'whole'
    tool(repo_dir, 'train')(arguments(workplace, work_dir))
    return torch.load(work_dir / 'epoch_3.pth', weights_only=True)


def test_checkpoint_is_plain_and_complete(uninterrupted):
    meta = uninterrupted['meta']
    assert (meta['epoch'], meta['iter'], meta['seed']) == (3, 18, 1)
    assert 'ToyModel' in meta['cfg']
    history = uninterrupted['message_hub']['log_scalars']['train/loss']['log']
    assert history.shape == (18,) and history[-6:].mean() < history[:6].mean()
    info = uninterrupted['message_hub']['runtime_info']
    scores = [entry['scores']['MPJPE'] for entry in info['history_of_validation']]
    assert len(scores) == 3 and info['best_score_MPJPE'] == min(scores)


def test_kill_mid_epoch_and_mid_write_then_resume(repo_dir, workplace, uninterrupted, capsys):
    work_dir = workplace / 'killed'
    # Killed after the second iteration of epoch 2.
    first = train_in_subprocess(repo_dir, workplace, work_dir, TOY_KILL_ITER='8')
    assert first.returncode == -signal.SIGKILL, first.stderr
    assert (work_dir / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    # Resumed, and killed in the middle of writing the checkpoint of epoch 2.
    second = train_in_subprocess(repo_dir, workplace, work_dir, '--resume', TOY_KILL_WRITE='2')
    assert second.returncode == -signal.SIGKILL, second.stderr
    assert 'resumed epoch: 1, iter: 6' in second.stdout
    partial = list(work_dir.glob('.epoch_2.pth.*.partial.pth'))
    assert len(partial) == 1 and not (work_dir / 'epoch_2.pth').exists()
    assert (work_dir / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    assert torch.load(work_dir / 'epoch_1.pth', weights_only=True)['meta']['epoch'] == 1

    tool(repo_dir, 'train')(arguments(workplace, work_dir, '--resume', name='resumed'))
    assert not list(work_dir.glob('.*.partial*'))
    last_line = capsys.readouterr().out.strip().splitlines()[-1]
    assert 'Finished 3 epochs (resumed at 1)' in last_line and 'Best MPJPE' in last_line

    resumed = torch.load(work_dir / 'epoch_3.pth', weights_only=True)
    assert resumed['meta']['iter'] == 18
    for name in ('train/loss', 'train/lr', 'val/MPJPE'):
        torch.testing.assert_close(
            resumed['message_hub']['log_scalars'][name]['log'],
            uninterrupted['message_hub']['log_scalars'][name]['log'],
            atol=1e-6,
            rtol=0,
        )
    for name, value in uninterrupted['state_dict'].items():
        torch.testing.assert_close(resumed['state_dict'][name], value, atol=1e-6, rtol=0)
    for key in ('best_score_MPJPE', 'best_score_PA-MPJPE'):
        assert resumed['message_hub']['runtime_info'][key] == pytest.approx(
            uninterrupted['message_hub']['runtime_info'][key], abs=1e-6
        )
    assert resumed['param_schedulers'] == uninterrupted['param_schedulers']


def test_cut_off_validation_is_made_up_for(repo_dir, workplace, uninterrupted):
    work_dir = workplace / 'unvalidated'
    work_dir.mkdir()
    # What a run leaves that was killed while it validated epoch 3.
    checkpoint = torch.load(workplace / 'whole' / 'epoch_3.pth', weights_only=True)
    info = checkpoint['message_hub']['runtime_info']
    expected = info['history_of_validation'].pop()
    info['epoch_validated'] = 2
    info['best_score_MPJPE'] = 1e9
    torch.save(checkpoint, work_dir / 'epoch_3.pth')
    (work_dir / 'epoch_4.pth').write_bytes(b'PK\x03\x04 half of a file')
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_4.pth'))
    tool(repo_dir, 'train')(arguments(workplace, work_dir, '--resume'))
    again = torch.load(work_dir / 'epoch_3.pth', weights_only=True)
    redone = again['message_hub']['runtime_info']['history_of_validation'][-1]
    # The toy's noise is random in the validation too, so only the scale of the score is known.
    assert redone['epoch'] == 3
    assert redone['scores']['MPJPE'] == pytest.approx(expected['scores']['MPJPE'], rel=0.3)
    assert (work_dir / 'best_MPJPE_epoch_3.pth').is_file()


def test_dist_train_restarts_itself_after_a_kill(repo_dir, workplace):
    """Two gloo processes; one is killed in epoch 2 and torchrun starts both again."""
    work_dir = workplace / 'distributed'
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = dict(
        os.environ,
        PYTHONPATH=str(TOY),
        PORT=str(port),
        MAX_RESTARTS='1',
        PYTHON=sys.executable,
        OMP_NUM_THREADS='1',
        TOY_KILL_ITER='5',
        TOY_KILL_RANK='1',
        TOY_KILL_ONCE=str(workplace / 'killed_once'),
    )
    command = ['bash', str(repo_dir / 'tools' / 'dist_train.sh'), CONFIG, '2']
    done = subprocess.run(
        command + arguments(workplace, work_dir, '--resume')[1:],
        env=environment,
        cwd=workplace,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'resumed epoch: 1, iter: 3' in done.stdout
    last = torch.load(work_dir / 'epoch_3.pth', weights_only=True)
    assert (last['meta']['epoch'], last['meta']['iter']) == (3, 9)
    rates = last['message_hub']['log_scalars']['train/lr']['log']
    expected = torch.tensor([0.05] * 3 + [0.005] * 3 + [0.0005] * 3, dtype=torch.float64)
    torch.testing.assert_close(rates, expected)


def _refusal(repo_dir, workplace, work_dir, checkpoint, capsys, *more):
    arguments_ = arguments(workplace, work_dir, '--resume', str(checkpoint), *more)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        tool(repo_dir, 'train')(arguments_)
    assert stop.value.code == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1
    return errors[0]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda content: content['state_dict'],
            'holds no meta.epoch, meta.iter, optimizer, message_hub',
        ),
        (lambda content: content.pop('meta') and content, 'holds no meta.epoch, meta.iter'),
        (lambda content: content['meta'].pop('epoch') and content, 'holds no meta.epoch'),
        (lambda content: content.pop('message_hub') and content, 'holds no message_hub'),
        (
            lambda content: (
                content['optimizer']['param_groups'].append(
                    dict(content['optimizer']['param_groups'][0], params=[9])
                )
                or content
            ),
            'its optimizer has groups of 4 and 1 parameters, the one of this config groups of 4',
        ),
    ],
)
def test_what_training_cannot_go_on_from(
    repo_dir, workplace, uninterrupted, capsys, change, message
):
    torch.save(
        change(torch.load(workplace / 'whole' / 'epoch_3.pth', weights_only=True)),
        workplace / 'odd.pth',
    )
    line = _refusal(repo_dir, workplace, workplace / 'odd', workplace / 'odd.pth', capsys)
    assert 'odd.pth: ' in line and message in line and 'load_from=' in line


def test_best_checkpoints_and_folders(repo_dir, workplace, uninterrupted, capsys):
    """A best_* file holds no optimizer; a folder stands for its newest checkpoint."""
    best = next((workplace / 'whole').glob('best_MPJPE_*.pth'))
    line = _refusal(repo_dir, workplace, workplace / 'from_best', best, capsys)
    assert 'holds no optimizer (best_* files and bare weights do not): give an epoch_*.pth' in line
    (workplace / 'empty').mkdir()
    line = _refusal(repo_dir, workplace, workplace / 'from_best', workplace / 'empty', capsys)
    assert 'empty: holds no checkpoint to resume from' in line
    tool(repo_dir, 'train')(
        arguments(workplace, workplace / 'other', '--resume', str(workplace / 'whole'))
    )
    assert 'resumed epoch: 3, iter: 18' in capsys.readouterr().out
    assert best.is_file()  # another run's best checkpoint is not ours to remove


def test_first_start_with_resume_takes_the_weights_of_the_config(
    repo_dir, workplace, uninterrupted, capsys
):
    """The documented restart command of a fine-tuning recipe, on its very first start."""
    start = workplace / 'whole' / 'epoch_3.pth'
    work_dir = workplace / 'finetuned'
    tool(repo_dir, 'train')(
        [
            *arguments(workplace, work_dir, '--resume'),
            f'load_from={start}',
            'optim_wrapper.optimizer.lr=0.0',
        ]
    )
    assert f'starting from the weights of {start}' in capsys.readouterr().out
    tuned = torch.load(work_dir / 'epoch_3.pth', weights_only=True)
    for name, value in uninterrupted['state_dict'].items():
        assert torch.equal(tuned['state_dict'][name], value)
    assert tuned['meta']['iter'] == 18
    # the second start resumes
    tool(repo_dir, 'train')([*arguments(workplace, work_dir, '--resume'), f'load_from={start}'])
    assert 'resumed epoch: 3, iter: 18' in capsys.readouterr().out
