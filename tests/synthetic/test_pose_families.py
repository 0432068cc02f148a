# SPDX-License-Identifier: Apache-2.0
"""What makes each family of postures what it is."""

import numpy as np
import pytest

from fastmetro_mm.synthetic.anatomy import LIMITS
from fastmetro_mm.synthetic.pose_families import FAMILIES, sample_posture


def draw(family: str | None, count: int) -> list[dict]:
    return [sample_posture(np.random.default_rng([7, seed]), family)[1] for seed in range(count)]


def forward_swing(posture: dict, side: str) -> float:
    raise_, plane = posture[f'{side}_shoulder_raise'], posture[f'{side}_shoulder_plane']
    return float(np.sin(raise_) * np.sin(plane))


@pytest.mark.parametrize('gait', ['walking', 'running'])
def test_arms_swing_with_the_opposite_leg(gait):
    postures = draw(gait, 200)
    legs = [p['l_hip_flex'] - p['r_hip_flex'] for p in postures]
    arms = [forward_swing(p, 'l') - forward_swing(p, 'r') for p in postures]
    assert np.corrcoef(legs, arms)[0, 1] < -0.8


def test_sitting_bends_hips_and_knees():
    postures = draw('sitting', 100)
    assert min(p['l_hip_flex'] for p in postures) > 0.9
    assert np.median([p['r_knee_flex'] for p in postures]) > 1.1


def test_arms_up_lifts_both_arms():
    for posture in draw('arms_up', 100):
        assert min(posture['l_shoulder_raise'], posture['r_shoulder_raise']) > 1.1


def test_families_come_with_their_shares():
    names = [sample_posture(np.random.default_rng([1, seed]))[0] for seed in range(3000)]
    total = sum(share for _, share in FAMILIES.values())
    for family, (_, share) in FAMILIES.items():
        assert names.count(family) / 3000 == pytest.approx(share / total, abs=0.03)


def test_postures_vary_and_repeat_with_the_seed():
    first, again, other = (
        sample_posture(np.random.default_rng(seed), 'standing')[1] for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_every_angle_is_inside_its_limits():
    for posture in draw(None, 500):
        assert set(posture) == set(LIMITS)
        for name, (lo, hi) in LIMITS.items():
            assert lo <= posture[name] <= hi
