# SPDX-License-Identifier: Apache-2.0
"""Boxes in every form, and what is said about wrong ones."""

import json

import numpy as np
import pytest

from fastmetro_mm.apis.boxes import (
    PersonBox,
    box_of_keypoints,
    check_box,
    given_for,
    parse_boxes,
    read_boxes,
)
from fastmetro_mm.errors import InputError


def test_forms_of_boxes():
    assert parse_boxes([1, 2, 3, 4], 'a')[0].bbox.tolist() == [1, 2, 3, 4]
    boxes = parse_boxes([(1, 2, 3, 4, 0.5), dict(bbox=[5, 6, 7, 8], is_right=False)], 'a')
    assert boxes[0].score == 0.5 and boxes[1].is_right is False
    assert len(parse_boxes(np.zeros((3, 4)), 'a')) == 3
    assert parse_boxes([], 'a') == []
    for wrong in ([1, 2, 3], [['a', 'b', 'c', 'd']], [dict(box=[1, 2, 3, 4])]):
        with pytest.raises(InputError, match='expected'):
            parse_boxes(wrong, 'photo.jpg')


@pytest.mark.parametrize('box, message', [
    ([5, 5, 5, 9], 'has no area'), ([9, 5, 5, 9], 'has no area'),
    ([100, 0, 120, 9], 'outside of the 100x50 picture'),
    ([-20, 0, 0, 9], 'outside of the 100x50 picture'), ([np.nan, 0, 4, 4], 'not finite')])
def test_boxes_that_cannot_be_used(box, message):
    with pytest.raises(InputError, match=message) as caught:
        check_box(PersonBox(np.array(box, float)), (100, 50), 'photo.jpg, box 3')
    assert str(caught.value).startswith('photo.jpg, box 3: ')
    assert '\n' not in str(caught.value)


def test_box_of_keypoints_leaves_out_the_invisible():
    points = [[10, 20, 1], [30, 90, 0.2], [500, 500, 0], [np.nan, 0, 1]]
    assert box_of_keypoints(points, 'a').bbox.tolist() == [10, 20, 30, 90]
    with pytest.raises(InputError, match='1 keypoints are visible'):
        box_of_keypoints(points[1:], 'a')


def test_boxes_by_name_list_and_frame(tmp_path):
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps({'a.jpg': [[1, 2, 3, 4]], '7': [{'bbox': [5, 6, 7, 8]}]}))
    boxes = read_boxes(path)
    assert given_for(boxes, 0, 'a.jpg', False)[0].bbox[0] == 1
    assert given_for(boxes, 7, None, False)[0].bbox[0] == 5
    assert list(given_for(boxes, 8, None, False)) == []
    assert given_for([[[1, 2, 3, 4]], []], 1, 'b.jpg', True) == []
    with pytest.raises(InputError, match='given for 1 pictures only'):
        given_for([[1, 2, 3, 4]], 1, 'b.jpg', True)
    path.write_text('{')
    with pytest.raises(InputError, match='not JSON'):
        read_boxes(path)
    with pytest.raises(FileNotFoundError, match='no such file of boxes'):
        read_boxes(tmp_path / 'missing.json')
