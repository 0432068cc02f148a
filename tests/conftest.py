# SPDX-License-Identifier: Apache-2.0
"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

import fastmetro_mm  # noqa: F401 - stands in for mmcv.ops before any test imports mmpose

REPO = Path(__file__).resolve().parents[1]


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
