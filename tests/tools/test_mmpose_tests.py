# SPDX-License-Identifier: Apache-2.0
"""The script that runs another project's tests without and with this package."""

import importlib.util
import json

import pytest

SICK = """
import sys
import unittest

class Test(unittest.TestCase):
    def test_harmed(self):
        assert 'fastmetro_mm' not in sys.modules

    def test_well(self):
        assert True

    def test_always_fails(self):
        assert False
"""


@pytest.fixture
def script(repo_dir):
    spec = importlib.util.spec_from_file_location('runs', repo_dir / 'tools' / 'mmpose_tests.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_test_that_fails_with_us_only_is_named(script, tmp_path, capsys):
    for folder, text in (('test_a', SICK), ('test_b', 'import no_such_module')):
        (tmp_path / 'tests' / folder).mkdir(parents=True)
        (tmp_path / 'tests' / folder / f'test_in_{folder[-1]}.py').write_text(text)
    report = tmp_path / 'report.json'
    assert script.main([str(tmp_path), '--report', str(report)]) == 1
    said = capsys.readouterr().out
    assert "test_a without us: {'failed': 1, 'passed': 2}" in said
    assert "test_a with us: {'failed': 2, 'passed': 1}" in said
    named = [line for line in said.splitlines() if line.endswith('failed') and '::' in line]
    assert len(named) == 1 and 'test_harmed: failed' in named[0]
    # nothing passes there without us, so nothing is asked with us; results are kept
    assert json.loads(report.read_text())['test_b']['with'] == {}
    (tmp_path / 'tests' / 'test_a' / 'test_in_a.py').write_text('')
    assert script.main([str(tmp_path), '--report', str(report)]) == 1


def test_a_folder_without_tests_is_refused(script, tmp_path, capsys):
    (tmp_path / 'tests').mkdir()
    assert script.main([str(tmp_path), '--report', str(tmp_path / 'report.json')]) == 2
    assert 'give a checkout of mmpose' in capsys.readouterr().err
