# SPDX-License-Identifier: Apache-2.0
"""Errors and short cuts of tools/setup.sh that need no network."""

import os
import re
import subprocess
import venv
from pathlib import Path

import pytest


@pytest.fixture(scope='module')
def empty_venv(tmp_path_factory) -> Path:
    """An environment with pip only."""
    folder = tmp_path_factory.mktemp('empty') / 'venv'
    venv.create(folder, with_pip=True)
    return folder


def run_setup(repo_dir, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ['bash', str(repo_dir / 'tools' / 'setup.sh'), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--colour'], 'unknown option --colour'),
        (['--torch', 'tpu'], "--torch must be auto, cpu, cuda or keep, not 'tpu'"),
        (['--stack', 'other'], "--stack must be upstream or onedl, not 'other'"),
        (['--python', 'no-such-python'], 'no-such-python not found'),
    ],
)
def test_wrong_arguments_are_one_line(repo_dir, tmp_path, arguments, message):
    done = run_setup(repo_dir, '--venv', str(tmp_path / 'venv'), *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / 'venv').exists()


def test_old_python_is_refused(repo_dir, tmp_path):
    old = tmp_path / 'python3.8'
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.18 && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = run_setup(repo_dir, '--venv', str(tmp_path / 'venv'), '--python', str(old))
    assert done.returncode == 1
    assert 'Python 3.8.18, but Python >= 3.10 is needed' in done.stderr


def test_full_disk_is_said_before_download(repo_dir, tmp_path, empty_venv):
    tools = tmp_path / 'bin'
    tools.mkdir()
    (tools / 'df').write_text('#!/bin/sh\necho head\necho disk 100 98 2097152 99% /\n')
    (tools / 'df').chmod(0o755)
    done = run_setup(
        repo_dir, '--venv', str(empty_venv), '--no-system', PATH=f'{tools}:{os.environ["PATH"]}'
    )
    assert done.returncode == 1
    assert 'only 2 GB free' in done.stderr and '--venv DIR' in done.stderr


def test_keep_without_torch_is_refused(repo_dir, empty_venv):
    done = run_setup(repo_dir, '--venv', str(empty_venv), '--no-system', '--torch', 'keep')
    assert done.returncode == 1
    assert 'no torch >= 2.4 with torchvision' in done.stderr


def test_failed_step_shows_the_log_and_is_repeated(repo_dir, tmp_path, empty_venv):
    # no index: pip fails at once
    arguments = ['--venv', str(empty_venv), '--no-system']
    environment = dict(PIP_NO_INDEX='1', PIP_FIND_LINKS=str(tmp_path), PIP_CONFIG_FILE=os.devnull)
    for _ in range(2):
        done = run_setup(repo_dir, *arguments, **environment)
        assert done.returncode == 1
        assert 'No matching distribution found for torch' in done.stderr
        assert "step 'torch' failed" in done.stderr and 'finished steps are kept' in done.stderr


def test_numpy_stays_below_what_mmposes_drawing_bears(repo_dir):
    """NumPy 2.4 no longer turns arrays of one element into numbers."""
    from packaging.requirements import Requirement

    lines = (repo_dir / 'requirements' / 'stack.txt').read_text().splitlines()
    lines += re.findall(r'"(numpy[^"]*)"', (repo_dir / 'pyproject.toml').read_text())
    asked = [Requirement(line) for line in lines if line.startswith('numpy')]
    assert len(asked) == 2
    for requirement in asked:
        assert '2.3.5' in requirement.specifier and '2.4.0' not in requirement.specifier
