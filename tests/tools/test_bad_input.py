# SPDX-License-Identifier: Apache-2.0
"""A user's mistake prints one line that names the thing and the fix, and ends with code 2."""

import importlib.util
import pickle
from pathlib import Path

import pytest
import torch

TOY = Path(__file__).parent / 'toy'
CONFIG = str(TOY / 'toy_config.py')


@pytest.fixture
def error_of(repo_dir, tmp_path, monkeypatch, capsys):
    """Run a tool in this process and return its one line of error."""
    monkeypatch.syspath_prepend(str(TOY))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('FASTMETRO_TRACEBACK', raising=False)
    (tmp_path / 'toy.yaml').write_text('')

    def run(name, *arguments):
        path = repo_dir / 'tools' / f'{name}.py'
        spec = importlib.util.spec_from_file_location(f'tool_{name}', path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            module.main([str(argument) for argument in arguments])
        assert stop.value.code == 2
        lines = capsys.readouterr().err.strip().splitlines()
        errors = [line for line in lines if line.startswith('error: ')]
        assert len(errors) == 1 and 'Traceback' not in ''.join(lines)
        return errors[0]

    run.folder = tmp_path
    return run


def test_missing_config(error_of):
    alike = CONFIG.replace('toy_config', 'toy_confg')
    assert 'no such config file: did you mean' in error_of('train', alike)
    assert CONFIG in error_of('train', alike)


@pytest.mark.parametrize(
    ('option', 'expected'),
    [
        ('train_dataloader', 'expected key=value'),
        ('trian_dataloader.batch_size=3', 'did you mean train_dataloader?'),
        ('param_scheduler.7.gamma=1', '--cfg-options param_scheduler.7.gamma=1'),
        ('model.layers=[1,(2', '--cfg-options'),
    ],
)
def test_bad_option(error_of, option, expected):
    assert expected in error_of('train', CONFIG, '--cfg-options', option)


def test_unknown_class(error_of):
    line = error_of('train', CONFIG, '--cfg-options', 'model.type=NoSuchModel', 'data_root=.')
    assert 'NoSuchModel is not registered' in line and 'custom_imports' in line


def test_missing_data(error_of):
    line = error_of('train', CONFIG, '--device', 'cpu', '--cfg-options', 'data_root=nowhere')
    assert 'nowhere/toy.yaml: No such file' in line


def test_work_dir_that_cannot_be_written(error_of):
    blocked = error_of.folder / 'toy.yaml' / 'work'
    assert '--work-dir' in error_of('train', CONFIG, '--work-dir', blocked)


def test_device_that_is_not_there(error_of):
    assert '--device cuda:99' in error_of('train', CONFIG, '--device', 'cuda:99')
    assert "expected 'auto'" in error_of('train', CONFIG, '--device', 'gpu')


def test_no_process_group_without_launcher(error_of, monkeypatch):
    monkeypatch.delenv('SLURM_PROCID', raising=False)
    line = error_of(
        'train', CONFIG, '--device', 'cpu', '--launcher', 'slurm', '--cfg-options', 'data_root=.'
    )
    assert 'SLURM_PROCID' in line


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return exec, ('raise SystemExit("code from the checkpoint ran")',)


def test_wrong_checkpoints(error_of):
    folder = error_of.folder

    def test(path):
        return error_of('test', CONFIG, path, '--device', 'cpu', '--cfg-options', 'data_root=.')

    assert 'no such checkpoint file' in test(folder / 'none.pth')
    (folder / 'text.pth').write_text('hello')
    assert 'expected a checkpoint, but the file is a text' in test(folder / 'text.pth')
    torch.save({'state_dict': {'weight': torch.zeros(20000)}}, folder / 'other.pth')
    line = test(folder / 'other.pth')
    assert 'weights of another model: only 0 of 4 tensors of ToyModel fit' in line
    half = (folder / 'other.pth').read_bytes()[:30000]
    (folder / 'half.pth').write_bytes(half)
    assert 'is a zip file whose end is missing (truncated)' in test(folder / 'half.pth')
    torch.save({'meta': Evil()}, folder / 'evil.pth')
    assert '--trust-checkpoint' in test(folder / 'evil.pth')
    (folder / 'bare.pth').write_bytes(pickle.dumps({'meta': Evil()}))
    assert 'bare.pth' in test(folder / 'bare.pth')
    torch.save([1, 2], folder / 'list.pth')
    assert 'holds a list' in test(folder / 'list.pth')


def test_outputs_are_checked_before_the_evaluation(error_of):
    assert '.json' in error_of('test', CONFIG, 'x.pth', '--out', 'metrics.txt')
    assert 'create it' in error_of('test', CONFIG, 'x.pth', '--dump', 'no/folder/p.pkl')


def test_bug_keeps_its_traceback():
    """An error that no user caused is not hidden."""
    from fastmetro_mm.engine.cli import friendly_errors

    with pytest.raises(RuntimeError, match='bug'), friendly_errors():
        raise RuntimeError('bug')
