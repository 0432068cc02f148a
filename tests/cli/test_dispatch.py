# SPDX-License-Identifier: Apache-2.0
"""The command `fastmetro`: which module a word leads to, and what a wrong word says."""

import sys

import pytest

import fastmetro_mm
from fastmetro_mm.cli import dispatch
from fastmetro_mm.cli.doctor import main as doctor


@pytest.fixture
def led_to(monkeypatch):
    """Modules that would have been run, each with its command line."""
    found = []
    monkeypatch.setattr(sys, 'argv', ['fastmetro'])
    monkeypatch.setattr('fastmetro_mm.cli.doctor.run_module', lambda name: found.append(name) or 7)
    monkeypatch.setattr(dispatch, 'run_module', lambda name: found.append((name, *sys.argv)) or 3)
    return found


def test_every_command_is_listed_once(capsys):
    assert dispatch.main([]) == dispatch.main(['--help']) == 0
    text = capsys.readouterr().out
    for name, command in dispatch.COMMANDS.items():
        assert text.count(f'  {name:<12}{command.summary}') == 2


def test_the_version(capsys):
    assert dispatch.main(['--version']) == 0
    assert capsys.readouterr().out == f'fastmetro_mm {fastmetro_mm.__version__}\n'


def test_a_word_leads_to_its_module_with_the_rest(led_to):
    assert dispatch.main(['train', 'quickstart', '--amp']) == 3
    assert led_to == [('fastmetro_mm.cli.train', 'fastmetro train', 'quickstart', '--amp')]
    assert dispatch.main(['help', 'test']) == 3
    assert led_to[1] == ('fastmetro_mm.cli.test', 'fastmetro test', '--help')


def test_a_wrong_word_is_one_line(led_to, capsys):
    assert dispatch.main(['trian']) == dispatch.main(['qqq']) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == 'error: trian: no such command; did you mean train? (see fastmetro --help)'
    assert second == 'error: qqq: no such command; (see fastmetro --help)'
    assert led_to == []


def test_help_needs_no_stack(led_to, monkeypatch, capsys):
    def lacks():
        raise ModuleNotFoundError('mmpose is missing: fix it')

    monkeypatch.setattr(dispatch, 'require_stack', lacks)
    assert dispatch.main(['train', 'quickstart']) == 2 and led_to == []
    assert capsys.readouterr().err == 'error: mmpose is missing: fix it\n'
    assert dispatch.main(['train', '--help']) == 3
    assert dispatch.main(['doctor']) == 3  # it is there to tell what is missing


def test_the_doctor_of_sets_and_of_installations(led_to, monkeypatch):
    for words, module in (
        (['data/x/train.yaml', '--limit', '5'], 'fastmetro_mm.cli.check_set'),
        (['--json'], 'fastmetro_mm.doctor.__main__'),
    ):
        monkeypatch.setattr(sys, 'argv', ['fastmetro doctor', *words])
        assert doctor() == 7 and led_to[-1] == module
