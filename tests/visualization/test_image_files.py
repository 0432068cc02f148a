# SPDX-License-Identifier: Apache-2.0
"""Images come out as they went in, and JPEGs say whose they are."""

import os

import cv2
import numpy as np
import pytest

from fastmetro_mm.errors import InputError
from fastmetro_mm.result_marks import is_result
from fastmetro_mm.visualization.image_files import write_image


def test_pixels_and_marks(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    path = write_image(tmp_path / 'new' / 'a.PNG', image)
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], image)
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    path = write_image(tmp_path / 'a.jpg', flat)
    assert np.abs(cv2.imread(str(path))[8, 8, ::-1].astype(int) - flat[8, 8]).max() <= 2
    assert is_result(path)
    cv2.imwrite(str(tmp_path / 'own.jpg'), flat)
    assert not is_result(tmp_path / 'own.jpg')


@pytest.mark.parametrize('name', ['a.gif', 'a', os.fsdecode(b'\xff.xyz')])
def test_an_unknown_ending_leaves_nothing(tmp_path, name):
    with pytest.raises(InputError, match='no image format has this ending'):
        write_image(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    assert os.listdir(tmp_path) == []


def test_an_image_without_pixels(tmp_path):
    with pytest.raises(InputError, match=r'shape \(0, 4, 3\) cannot be encoded as \.png'):
        write_image(tmp_path / 'a.png', np.zeros((0, 4, 3), np.uint8))
    assert os.listdir(tmp_path) == []
