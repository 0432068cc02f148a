# SPDX-License-Identifier: Apache-2.0
"""A small set of people and a studio, made once for all tests here."""

from pathlib import Path

import pytest

from fastmetro_mm.synthetic.generate import SetSummary, make_synthetic_set
from fastmetro_mm.synthetic.options import SyntheticSetOptions
from fastmetro_mm.synthetic.scene import Studio

# Three shards of training samples, so that order and resumption matter.
SMALL = SyntheticSetOptions('body', train=104, test=3, seed=5, size=(112, 96))


@pytest.fixture(scope='session')
def small_options() -> SyntheticSetOptions:
    """Options of the small set."""
    return SMALL


@pytest.fixture(scope='session')
def small_set(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SetSummary]:
    """Folder and summary of a small set drawn in this process."""
    folder = tmp_path_factory.mktemp('people')
    return folder, make_synthetic_set(folder, SMALL, workers=0, show_progress=False)


@pytest.fixture(scope='session')
def body_studio() -> Studio:
    """Draws people on 160x128 pixels."""
    return Studio('body', (160, 128))


@pytest.fixture(scope='session')
def hand_studio() -> Studio:
    """Draws hands on 128x128 pixels."""
    return Studio('hand', (128, 128))
