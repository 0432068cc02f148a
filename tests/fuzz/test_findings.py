# SPDX-License-Identifier: Apache-2.0
"""Seeds, their mutations and whatever fuzzing found: taken, or refused in one line."""

from pathlib import Path

import numpy as np
import pytest

from tools.fuzz.targets import TARGETS, try_input

FINDINGS = Path(__file__).parent / 'findings'


@pytest.mark.parametrize('name', TARGETS)
def test_findings_stay_fixed(name):
    paths = sorted((FINDINGS / name).glob('*')) if (FINDINGS / name).is_dir() else []
    for path in paths:
        try_input(name, path.read_bytes())


@pytest.mark.parametrize('name', TARGETS)
def test_seeds_reach_the_inside(name):
    """Most of them are taken, so that a mutation starts from something that is right."""
    seeds = TARGETS[name][1]()
    taken = [try_input(name, seed) is None for seed in seeds]
    assert sum(taken) >= len(seeds) / 3, taken


@pytest.mark.parametrize('name', TARGETS)
def test_mutations_are_taken_or_refused_in_one_line(name):
    rng = np.random.default_rng(1)
    seeds = TARGETS[name][1]()
    refused = 0
    for number in range(150):
        data = bytearray(seeds[number % len(seeds)])
        for _ in range(rng.integers(1, 5)):
            at = int(rng.integers(1, len(data)))
            if rng.integers(3):
                data[at] = rng.integers(256)
            else:
                del data[at : at + int(rng.integers(1, 8))]
            if len(data) < 3:
                break
        refused += try_input(name, bytes(data)) is not None
    assert refused > 10
