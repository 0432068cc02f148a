# SPDX-License-Identifier: Apache-2.0
"""What a user can fix is one line and exit code 2; anything else keeps its traceback."""

import errno
import os
from argparse import Namespace

import mmengine.device.utils
import pytest
from mmengine.config.utils import ConfigParsingError
from mmengine.device import get_device
from mmpose.registry import MODELS

from fastmetro_mm.engine.cli import apply_common, explain, friendly_errors
from fastmetro_mm.engine.command_run import command_run
from fastmetro_mm.errors import CliError, DataRowError


def _unknown_model() -> BaseException:
    try:
        MODELS.build(dict(type='NoSuchHead'))
    except KeyError as error:
        return error
    raise AssertionError('it is registered')


@pytest.mark.parametrize(
    'error, words',
    [
        (CliError('--n 0:\n  expected 1'), '--n 0: expected 1'),
        (
            RuntimeError('[/gloo/transport] Connection closed by peer [127.0.0.1]:3'),
            'another process of this run has ended, what it said is above or on its own machine: '
            'go on with --resume',
        ),
        (
            RuntimeError('DataLoader worker (pid 41) is killed by signal: Killed. '),
            'a data worker (process 41) is killed by signal: Killed (the system kills them where '
            'memory or shared memory is short): go on with --resume, perhaps with fewer '
            'train_dataloader.num_workers',
        ),
        (ConfigParsingError('no base'), 'no base: fix the config file'),
        (
            OSError(errno.ENOSPC, 'No space left on device', 'out.pth'),
            'out.pth: No space left on device: choose another place for the output',
        ),
        (
            FileNotFoundError(errno.ENOENT, 'No such file or directory', 'a.py'),
            'a.py: No such file or directory: check the path in the command or the config',
        ),
        (FileNotFoundError('a.bin is not there'), 'a.bin is not there'),
        (ImportError('run pip install wandb'), 'run pip install wandb'),
        (KeyError('pose'), None),
        (ImportError('cannot import name x'), None),
        (ValueError('a bug'), None),
    ],
)
def test_the_line_of_an_error(error, words):
    assert explain(error) == words


def test_an_unregistered_name_tells_what_to_do():
    line = explain(_unknown_model())
    assert line.startswith('NoSuchHead is not registered in ') and 'custom_imports' in line


def test_an_error_of_a_data_worker_is_its_own_line():
    carried = DataRowError(
        'Caught DataRowError in DataLoader worker process 0.\nTraceback (most recent call last):\n'
        '  File "x.py", line 1\nfastmetro_mm.errors.DataRowError: a.tsv row 3: cut off\n'
    )
    assert explain(carried) == 'a.tsv row 3: cut off'


def test_exit_codes_and_lines(monkeypatch, capsys):
    monkeypatch.delenv('FASTMETRO_TRACEBACK', raising=False)
    monkeypatch.setenv('RANK', '0')

    def ends(error: BaseException) -> int:
        with pytest.raises(SystemExit) as stop, friendly_errors():
            raise error
        return stop.value.code

    assert ends(CliError('wrong')) == 2 and capsys.readouterr().err == 'error: wrong\n'
    assert ends(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == 'interrupted; go on with --resume\n'
    monkeypatch.setenv('RANK', '1')  # what every process meets is said by the first
    assert ends(CliError('wrong')) == 2 and capsys.readouterr().err == ''
    assert ends(FileNotFoundError('gone')) == 2
    assert capsys.readouterr().err == 'error (process 1): gone\n'
    with pytest.raises(ValueError, match='a bug'), friendly_errors():
        raise ValueError('a bug')
    monkeypatch.setenv('FASTMETRO_TRACEBACK', '1')
    with pytest.raises(CliError), friendly_errors():
        raise CliError('wrong')


def test_what_a_command_was_allowed_ends_with_it(monkeypatch):
    """A notebook that calls a command with --trust-checkpoint trusts no other file."""
    names = ('FASTMETRO_TRUST_CHECKPOINTS', 'FASTMETRO_TRACEBACK')
    monkeypatch.delenv(names[0], raising=False)
    monkeypatch.setenv(names[1], '0')
    for fails in (False, True):
        with pytest.raises(ZeroDivisionError) if fails else friendly_errors():
            with friendly_errors():
                apply_common(Namespace(traceback=True, trust_checkpoint=True))
                assert [os.environ[name] for name in names] == ['1', '1']
                1 / (not fails)
        assert names[0] not in os.environ and os.environ[names[1]] == '0'


def test_the_device_of_a_command_ends_with_it(monkeypatch):
    monkeypatch.setattr(mmengine.device.utils, 'DEVICE', 'cuda')
    args = Namespace(traceback=False, trust_checkpoint=False, device='cpu')
    with pytest.raises(SystemExit), command_run(lambda argv: args, []):
        assert get_device() == 'cpu'
        raise CliError('later')
    assert get_device() == 'cuda'
