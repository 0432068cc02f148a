# SPDX-License-Identifier: Apache-2.0
"""Fixtures shared by all tests."""

import json
import math
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

# Two drawings of one scene are compared byte by byte; what draws must not change in between.
os.environ['FASTMETRO_DRAWING'] = 'numpy'

import fastmetro_mm  # noqa: F401 - stands in for mmcv.ops before any test imports mmpose

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _own_scope():
    """Forget the default scope that other tests leave behind."""
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session')
def repo_dir() -> Path:
    """Root of the repository."""
    return REPO


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """Folder with golden numbers and sample data; the test is skipped where it is missing."""
    folder = Path(os.environ.get('FASTMETRO_SHARED', REPO.parent / 'shared'))
    if not (folder / 'golden').is_dir():
        pytest.skip(f'golden numbers and sample data not found in {folder.name}/ beside the repo')
    return folder


@pytest.fixture(scope='session')
def browser(tmp_path_factory):
    """A page in a headless Chromium; the test is skipped where there is none."""
    from tests.browser import Browser, find_program

    program = find_program()
    if program is None:
        pytest.skip('no Chromium found: apt-get install -y chromium')
    browser = Browser(program, tmp_path_factory.mktemp('profile'))
    yield browser
    browser.close()


def golden_entry(name: str, shape: list[int]) -> torch.Tensor:
    """Weights by the rule of the golden numbers: made from the name alone."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    noise = torch.randn(shape, generator=generator)
    if name.endswith('num_batches_tracked'):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith('running_var'):
        return 1 + 0.1 * noise.abs()
    if name.endswith('running_mean'):
        return 0.1 * noise
    if len(shape) >= 2:
        return noise / math.sqrt(np.prod(shape[1:]))
    return 1 + 0.1 * noise if name.endswith('.weight') else 0.1 * noise


@pytest.fixture(scope='session')
def official_shapes(shared_dir) -> dict[str, dict[str, list[int]]]:
    """Names and shapes of four official models."""
    return json.loads((shared_dir / 'golden' / 'official_state_dicts.json').read_text())


@pytest.fixture(scope='session')
def official_file(official_shapes, tmp_path_factory):
    """Write an official checkpoint of that name with golden weights; gives its path."""
    folder = tmp_path_factory.mktemp('official')

    def write(kind: str):
        path = folder / f'{kind}_state_dict.bin'
        if not path.exists():
            shapes = official_shapes[kind]
            torch.save({name: golden_entry(name, shape) for name, shape in shapes.items()}, path)
        return path

    return write


@pytest.fixture()
def official_body_data(shared_dir, monkeypatch):
    """Point the configs at the official matrices; no SMPL or MANO file lies there."""
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(shared_dir / 'data' / 'metro'))
