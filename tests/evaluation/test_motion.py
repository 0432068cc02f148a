# SPDX-License-Identifier: Apache-2.0
"""How steady a motion is, by hand."""

import numpy as np
import pytest

from fastmetro_mm.evaluation.functional import acceleration, foot_contact, foot_sliding, jitter

FRAMES = np.arange(6.0)[:, None, None]


def test_acceleration_and_jitter_by_hand():
    fall = np.broadcast_to(0.5 * 9.81 * (FRAMES / 25) ** 2 * [0, 1, 0], (6, 4, 3))
    assert acceleration(fall, fps=25) == pytest.approx(np.full(4, 9.81))
    assert jitter(fall, fps=25) == pytest.approx(np.zeros(3), abs=1e-9)
    cubic = (FRAMES / 10) ** 3 * [0, 0, 2.0]  # its third derivative is 12
    assert jitter(cubic, fps=10) == pytest.approx(np.full(3, 12.0))
    assert acceleration(fall[:2], 25).shape == (0,) and jitter(fall[:3], 25).shape == (0,)
    with pytest.raises(ValueError, match=r'joints: expected \(T, points, 3\), got \(4, 3\)'):
        jitter(np.zeros((4, 3)), 25)


def test_only_feet_that_stand_slide():
    # the left foot stands and slides 2 cm a frame, the right one swings 10 cm above the ground
    feet = np.zeros((4, 2, 3))
    feet[:, 0, 0] = 0.02 * np.arange(4)
    feet[:, 1, 0] = 0.5 * np.arange(4)
    feet[:, 1, 1] = -0.1  # y points down
    contact = foot_contact(feet, up=(0, -2, 0))
    assert contact.tolist() == [[True, False]] * 4
    assert foot_sliding(feet, contact) == pytest.approx([0.02] * 3)
    contact[1] = False
    assert foot_sliding(feet, contact).tolist() == pytest.approx(
        [np.nan, np.nan, 0.02], nan_ok=True
    )
    assert not foot_contact(feet, (0, -1, 0), ground=-0.5).any()
    with pytest.raises(ValueError, match='not all 0'):
        foot_contact(feet, (0, 0, 0))
    with pytest.raises(ValueError, match=r'contact: expected \(4, 2\), got \(4,\)'):
        foot_sliding(feet, contact[:, 0])
