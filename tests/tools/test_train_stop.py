# SPDX-License-Identifier: Apache-2.0
"""A training that is told to end writes a checkpoint, and goes on as if nothing had happened."""

import errno
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fastmetro_mm.engine.hooks.graceful_stop_hook import EXIT_CODE

TOY = Path(__file__).parent / 'toy'
CONFIG = str(TOY / 'toy_config.py')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('stop')
    (folder / 'toy.yaml').write_text('')
    sys.path.insert(0, str(TOY))
    yield folder
    sys.path.remove(str(TOY))


def arguments(folder, name, *more, **options):
    options = {
        'data_root': folder,
        'experiment_name': f'{name}_{len(more)}',
        'train_dataloader.dataset.seeded': True,
        **options,
    }
    return [
        CONFIG,
        '--work-dir',
        str(folder / name),
        '--seed',
        '1',
        '--device',
        'cpu',
        *more,
        '--cfg-options',
        *(f'{key}={value}' for key, value in options.items()),
    ]


@pytest.fixture(scope='module')
def train(repo_dir, folder):
    """Run tools/train.py in this process."""
    path = repo_dir / 'tools' / 'train.py'
    spec = importlib.util.spec_from_file_location('tool_train_stop', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(name, *more, **options):
        module.main(arguments(folder, name, *more, **options))
        return torch.load(folder / name / 'epoch_3.pth', weights_only=True)

    return run


@pytest.fixture(scope='module')
def uninterrupted(train):
    return train('whole')


def history(checkpoint, name):
    return checkpoint['message_hub']['log_scalars'][name]['log']


@pytest.mark.parametrize(('moment', 'value', 'epoch', 'iteration', 'name'), [
    ('ITER', '8', 1, 8, 'interrupted_iter_8.pth'),  # within epoch 2
    ('ITER', '12', 2, 12, 'epoch_2.pth'),  # at the end of it: its own checkpoint serves
    ('VAL', '2', 2, 12, 'epoch_2.pth'),  # while it is validated
])  # fmt: skip
def test_sigterm_then_resume_equals_the_uninterrupted_run(
    train, folder, uninterrupted, monkeypatch, capfd, moment, value, epoch, iteration, name
):
    run = f'{moment}_{value}'
    monkeypatch.setenv(f'TOY_KILL_{moment}', value)
    monkeypatch.setenv('TOY_KILL_SIGNAL', 'SIGTERM')
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        train(run)
    assert stop.value.code == EXIT_CODE == 75
    assert signal.getsignal(signal.SIGTERM) == before
    output = capfd.readouterr()
    assert 'Told to end (SIGTERM): epoch' in output.out
    assert f'{name} is written; go on with --resume' in output.out
    assert (folder / run / 'last_checkpoint').read_text().endswith(name)
    meta = torch.load(folder / run / name, weights_only=True)['meta']
    assert (meta['epoch'], meta['iter']) == (epoch, iteration)

    monkeypatch.delenv(f'TOY_KILL_{moment}')
    resumed = train(run, '--resume')
    assert not list((folder / run).glob('interrupted_*'))
    for key in ('train/loss', 'train/lr', 'train/grad_norm'):
        torch.testing.assert_close(
            history(resumed, key), history(uninterrupted, key), rtol=0, atol=0
        )
    for key, value in uninterrupted['state_dict'].items():
        torch.testing.assert_close(resumed['state_dict'][key], value, rtol=0, atol=0)
    assert resumed['meta']['iter'] == 18


def test_epoch_goes_on_in_proportion_with_another_batch_size(train, folder, monkeypatch, capfd):
    monkeypatch.setenv('TOY_KILL_ITER', '9')
    monkeypatch.setenv('TOY_KILL_SIGNAL', 'SIGTERM')
    with pytest.raises(SystemExit):
        train('smaller')
    monkeypatch.delenv('TOY_KILL_ITER')
    train('smaller', '--resume', **{'train_dataloader.batch_size': 1})
    # 3 of 6 batches of two were done: 6 of 12 batches of one
    assert 'Going on in epoch 2 at iteration 7 of 12' in capfd.readouterr().out


def test_number_of_data_workers_changes_nothing(train, uninterrupted):
    for workers in (0, 2):
        other = train(f'workers_{workers}', **{'train_dataloader.num_workers': workers})
        assert torch.equal(history(other, 'train/loss'), history(uninterrupted, 'train/loss'))


def test_used_work_directory(train, folder, uninterrupted, capsys):
    with pytest.raises(SystemExit) as stop:
        train('whole')
    assert stop.value.code == 2
    assert '--work-dir-policy new' in capsys.readouterr().err
    before = (folder / 'whole' / 'epoch_3.pth').read_bytes()
    train('whole', '--work-dir-policy', 'new')
    assert (folder / 'whole_2' / 'epoch_3.pth').is_file()
    assert (folder / 'whole' / 'epoch_3.pth').read_bytes() == before


@pytest.mark.parametrize('whom', ['script', 'launcher'])
def test_processes_end_with_what_started_them(repo_dir, folder, whom):
    """SIGTERM to dist_train.sh, SIGKILL to torchrun: a checkpoint, and nothing is left running."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = dict(
        os.environ,
        PYTHONPATH=f'{repo_dir}:{TOY}',
        PORT=str(port),
        PYTHON=sys.executable,
        OMP_NUM_THREADS='1',
    )
    command = ['bash', str(repo_dir / 'tools' / 'dist_train.sh'), CONFIG, '2']
    command += arguments(folder, whom, **{'train_cfg.max_epochs': 100000})[1:]
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        while not (folder / whom / 'epoch_1.pth').exists() and process.poll() is None:
            time.sleep(0.2)
        if whom == 'script':
            process.send_signal(signal.SIGTERM)
        else:
            children = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text()
            os.kill(int(children.split()[0]), signal.SIGKILL)
        output, _ = process.communicate()
        expected = EXIT_CODE if whom == 'script' else 128 + signal.SIGKILL
        assert process.returncode == expected, output[-3000:]
        last = (folder / whom / 'last_checkpoint').read_text()
        assert torch.load(last, weights_only=True)['meta']['iter'] >= 3
        # communicate() returned, so nobody holds the pipe any more: no process is left
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def error_line(capsys):
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1
    return errors[0]


def test_killed_data_worker(train, folder, monkeypatch, capsys):
    monkeypatch.setenv('TOY_KILL_WORKER', '8')
    with pytest.raises(SystemExit) as stop:
        train('worker')
    assert stop.value.code == 2
    line = error_line(capsys)
    assert line.startswith('error: a data worker (process ') and '--resume' in line
    # a training that failed does not leave the process deaf: it would hand that on to its children
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    monkeypatch.delenv('TOY_KILL_WORKER')
    assert train('worker', '--resume')['meta']['iter'] == 18


def test_full_disk_keeps_the_checkpoint_before(train, folder, monkeypatch, capsys):
    write = Path.write_bytes

    def write_until_full(path, data):
        if 'epoch_2.pth' in path.name:
            write(path, data[:1000])
            raise OSError(errno.ENOSPC, 'No space left on device')
        return write(path, data)

    monkeypatch.setattr(Path, 'write_bytes', write_until_full)
    with pytest.raises(SystemExit) as stop:
        train('full')
    assert stop.value.code == 2
    line = error_line(capsys)
    run = folder / 'full'
    assert f'{run / "epoch_2.pth"}: No space left on device: {run / "epoch_1.pth"} is whole' in line
    assert '--resume' in line
    assert {path.name for path in run.iterdir() if path.suffix == '.pth'} >= {'epoch_1.pth'}
    assert not list(run.glob('*epoch_2*')) and not list(run.glob('.*partial*'))
    assert (run / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    monkeypatch.undo()
    assert train('full', '--resume')['meta']['iter'] == 18


def test_log_on_a_full_disk_ends_and_the_training_goes_on(train, folder, monkeypatch, capfd):
    opened = logging.FileHandler._open

    def open_full(handler):
        return (
            open('/dev/full', 'w')
            if handler.baseFilename.startswith(str(folder))
            else (opened(handler))
        )

    monkeypatch.setattr(logging.FileHandler, '_open', open_full)
    assert train('log')['meta']['iter'] == 18
    output = capfd.readouterr()
    assert output.out.count('No space left on device: this log file ends here') == 1
    assert 'Traceback' not in output.err


def test_scalars_on_a_full_disk(train, folder, monkeypatch, capsys):
    def dump(*args, **kwargs):
        with open('/dev/full', 'w') as file:
            file.write('x')

    monkeypatch.setattr('mmengine.visualization.LocalVisBackend._dump', dump)
    with pytest.raises(SystemExit):
        train('scalars')
    line = error_line(capsys)
    assert f'{folder / "scalars"}/' in line and 'No space left on device' in line
