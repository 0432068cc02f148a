# SPDX-License-Identifier: Apache-2.0
"""Sheets of labelled images, and writing them in one step."""

import cv2
import numpy as np
import pytest

from fastmetro_mm import fileio
from fastmetro_mm.visualization.contact_sheet import contact_sheet, label_image, write_contact_sheet


def tile(value, height=30, width=40):
    return np.full((height, width, 3), value, np.uint8)


def test_tiles_lie_row_by_row():
    sheet = contact_sheet([('', tile(10)), ('', tile(20)), ('', tile(30))], columns=2, gap=5)
    assert sheet.shape == (2 * 30 + 15, 2 * 40 + 15, 3)
    assert (sheet[5:35, 5:45] == 10).all() and (sheet[5:35, 50:90] == 20).all()
    assert (sheet[40:70, 5:45] == 30).all() and (sheet[40:, 50:] == 255).all()


def test_tiles_of_different_sizes_are_scaled_to_one_height():
    sheet = contact_sheet(
        [('', tile(10, 20, 10)), ('', tile(20, 80, 40))], 2, tile_height=40, gap=0
    )
    assert sheet.shape == (40, 40, 3)
    assert (sheet[:, :20] == 10).all() and (sheet[:, 20:] == 20).all()


def test_label_is_written_above_and_never_wider_than_the_image():
    labelled = label_image(tile(0, 100, 60), 'a label that is much too long for sixty pixels')
    assert labelled.shape == (118, 60, 3)
    assert labelled[:18].min() < 200 and (labelled[:18, -2:] == 255).all()
    assert (labelled[18:] == 0).all()


def test_empty_or_wrong_tiles_are_refused():
    with pytest.raises(ValueError, match='at least one'):
        contact_sheet([])
    with pytest.raises(ValueError, match="tile 'x' must be"):
        contact_sheet([('x', np.zeros((4, 4)))])


def test_sheet_on_disk_is_the_sheet(tmp_path):
    red = tile(0)
    red[..., 0] = 255
    path = write_contact_sheet(tmp_path / 'new' / 'sheet.png', [('', red)])
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], contact_sheet([('', red)]))
    assert [file.name for file in path.parent.iterdir()] == ['sheet.png']


def test_interrupted_writing_leaves_the_old_image(tmp_path, monkeypatch):
    path = write_contact_sheet(tmp_path / 'sheet.png', [('', tile(1))])
    before = path.read_bytes()

    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(fileio.os, 'replace', fail)
    with pytest.raises(OSError, match='disk full'):
        write_contact_sheet(path, [('', tile(2))])
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize('name', ['sheet', 'sheet.txt'])
def test_unknown_ending_is_named(tmp_path, name):
    with pytest.raises(ValueError, match=r'use \.jpg or \.png'):
        write_contact_sheet(tmp_path / name, [('', tile(1))])
