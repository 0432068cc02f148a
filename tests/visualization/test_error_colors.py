# SPDX-License-Identifier: Apache-2.0
"""Errors of known size get the colours one computes by hand."""

import numpy as np
import pytest

from fastmetro_mm.visualization.error_colors import (
    COLOR_TABLE,
    error_colors,
    error_legend,
    vertex_errors,
)


def lightness(rgb):
    """OKLab lightness (Ottosson, 2020) of sRGB colours."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ [0.2104542553, 0.7936177850, -0.0040720468]


def test_colours_get_darker_in_equal_steps():
    steps = np.diff(lightness(COLOR_TABLE))
    assert np.allclose(steps, -0.11, atol=0.008)
    assert ((COLOR_TABLE >= 0) & (COLOR_TABLE <= 1)).all()


def test_colours_by_hand():
    # 20 mm is the second stop, 30 mm half way to the third, 0.25 m beyond the last
    colors = error_colors(np.array([0, 0.02, 0.03, 0.1, 0.25]))
    half = (COLOR_TABLE[1] + COLOR_TABLE[2]) / 2
    expected = [COLOR_TABLE[0], COLOR_TABLE[1], half, COLOR_TABLE[5], COLOR_TABLE[5]]
    assert np.allclose(colors, expected)
    assert np.allclose(error_colors(np.array([0.004]), largest_mm=20), COLOR_TABLE[1])
    with pytest.raises(ValueError, match='largest_mm must be positive, got 0'):
        error_colors(np.zeros(1), largest_mm=0)


def test_errors_are_distances():
    true = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    moved = true + np.array([[0.003, 0.004, 0], [0, 0, 0], [0, 0, 0.012]])
    assert np.allclose(vertex_errors(moved, true), [0.005, 0, 0.012])
    with pytest.raises(ValueError, match=r'got \(3, 3\) and \(2, 3\)'):
        vertex_errors(true, true[:2])


@pytest.mark.parametrize('width', [60, 224, 1280])
def test_legend_runs_from_right_to_wrong(width):
    strip = error_legend(width)
    assert strip.shape[1:] == (width, 3) and strip.dtype == np.uint8
    assert strip.shape[0] < 0.5 * width
    colored = (strip != 255).any(-1)
    row = np.argmax(colored.sum(1))
    bar = strip[row][colored[row]].astype(int)
    assert np.abs(bar[0] - 255 * COLOR_TABLE[0]).max() < 6
    assert np.abs(bar[-1] - 255 * COLOR_TABLE[-1]).max() < 6
    assert (strip[row + 10 :] < 128).any()  # the numbers
