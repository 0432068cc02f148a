# SPDX-License-Identifier: Apache-2.0
"""Boxes and keypoints for one image, for many, for each: what fits two readings is refused."""

import numpy as np
import pytest
import torch

from fastmetro_mm.apis.boxes import (
    PersonBox,
    box_of_keypoints,
    check_box,
    parse_box,
    parse_side,
    whole_image_box,
)
from fastmetro_mm.apis.given import KEYPOINTS, Given
from fastmetro_mm.errors import InputError
from tests.apis.given_sources import A, B, images, people, video

# one box


def test_forms_of_a_box():
    for item in (A, tuple(A), np.array(A), np.array(A, np.float32), torch.tensor(A)):
        assert parse_box(item, 'a').bbox.tolist() == A
    assert parse_box([*A, 0.5], 'a').score == 0.5
    box = parse_box(dict(bbox=[*A, 0.25], is_right=False, track_id=np.int64(3)), 'a')
    assert (box.score, box.is_right, box.track_id) == (0.25, False, 3)
    assert parse_box(dict(bbox=A, is_right=None, track_id=None), 'a').is_right is None


@pytest.mark.parametrize(
    'value, expected',
    [
        (True, True),
        (False, False),
        (np.True_, True),
        (np.False_, False),
        (1, True),
        (0, False),
        (1.0, True),
        (0.0, False),
        (np.int64(1), True),
        (np.int64(0), False),
        (np.float32(0), False),
        ('left', False),
        ('Right', True),
        (torch.tensor(False), False),
        (np.array(0), False),
        (None, None),
    ],
)
def test_sides(value, expected):
    assert parse_side(value) is expected
    assert PersonBox(A, is_right=value).is_right is expected


@pytest.mark.parametrize(
    'value', ['false', 'true', '', 2, -1, 0.5, float('nan'), [0], [], {}, b'left', np.array([0])]
)
def test_other_sides_are_refused(value):
    with pytest.raises(InputError, match='is_right must be true or false'):
        parse_side(value)


@pytest.mark.parametrize(
    'item, match',
    [
        ([1, 2, 3], 'expected x1 y1 x2 y2'),
        ([A], 'expected x1 y1 x2 y2'),
        ([[1, 2], [3, 4]], 'expected x1 y1 x2 y2'),
        (['a', 'b', 'c', 'd'], 'expected numbers'),
        (['1', '2', '3', '4'], 'expected numbers'),
        ([True] * 4, 'expected numbers'),
        ([1, 2, 3, None], 'expected numbers'),
        (None, 'expected numbers'),
        ('1 2 3 4', 'numbers'),
        (dict(box=A), 'expected keys bbox'),
        (dict(bbox=A, sco=1), 'expected keys bbox'),
        (dict(bbox=[[1, 2], [3, 4]]), 'bbox must be x1'),
        (dict(bbox=[*A, 0.5], score=1), 'twice'),
        (dict(bbox=A, score=None), 'score must be'),
        (dict(bbox=A, score='x'), 'score must be'),
        (dict(bbox=A, score=float('nan')), 'score must be'),
        (dict(bbox=A, score=True), 'score must'),
        ([*A, float('inf')], 'score must be'),
        (dict(bbox=A, track_id='a'), 'track_id must be'),
        (dict(bbox=A, track_id=1.5), 'track_id must be'),
        (dict(bbox=A, track_id=-1), 'track_id must'),
        (dict(bbox=A, track_id=float('nan')), 'track_id'),
        (dict(bbox=A, track_id=True), 'track_id'),
    ],
)
def test_boxes_without_meaning(item, match):
    with pytest.raises(InputError, match=match) as caught:
        parse_box(item, 'photo.jpg, box 1')
    assert str(caught.value).startswith('photo.jpg, box 1: ') and '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'box, message',
    [
        ([5, 5, 5, 9], 'has no area'),
        ([9, 5, 5, 9], 'has no area'),
        ([100, 0, 120, 9], 'outside of the 100x50 image'),
        ([-20, 0, 0, 9], 'outside of the 100x50 image'),
        ([np.nan, 0, 4, 4], 'not finite'),
        ([0, 0, 1e30, 1e30], 'larger than 10000'),
        ([-6000, 0, 6000, 9], 'larger than 10000'),
        ([0, 0, np.inf, 9], 'not finite'),
    ],
)
def test_boxes_that_cannot_be_used(box, message):
    with pytest.raises(InputError, match=message) as caught:
        check_box(PersonBox(box), (100, 50), 'photo.jpg, box 3')
    assert str(caught.value).startswith('photo.jpg, box 3: ')


def test_the_bound_is_that_of_the_pixels_worked_on():
    check_box(PersonBox([0, 0, 15_000, 9_000]), (16_000, 12_000), 'a', reduction=2.0)
    check_box(whole_image_box((40_000, 1_000)), (40_000, 1_000), 'a')


def test_box_of_keypoints_leaves_out_the_invisible():
    points = [[10, 20, 1], [30, 90, 0.2], [500, 500, 0], [np.nan, 0, 1]]
    assert box_of_keypoints(points, 'a').bbox.tolist() == [10, 20, 30, 90]
    for wrong, match in (
        (points[1:], '1 keypoints are visible'),
        ([[1, 2, 3, 4]] * 3, r'\(K, 2'),
        ([['a', 'b']], 'expected numbers'),
        ([[1, 2], [3]], 'expected numbers'),
    ):
        with pytest.raises(InputError, match=match):
            box_of_keypoints(wrong, 'a')


# shapes


def test_shapes_for_one_image():
    for value in (A, [A], np.array([A]), [[A]], [dict(bbox=A)], dict(bbox=A), PersonBox(A)):
        given = people(value, images('/d/a.jpg'))
        assert len(given) == 1 and parse_box(given[0], 'a').bbox.tolist() == A
    assert len(people([A, B], images('/d/a.jpg'))) == 2
    assert people([], images('/d/a.jpg')) == []
    assert people(np.empty((0, 4)), images('/d/a.jpg')) == []


def test_an_entry_for_each_frame_is_one_for_each_frame():
    value = [[[n, 0, 9, 9]] for n in range(20)]
    for given in (value, np.array(value)):
        for index in (0, 7, 19):
            (found,) = people(given, video(20), index)
            assert found[0] == index
    assert people([[A], [], [A, B]], video(3), 1) == []
    assert people([[], []], video(2), 1) == []
    for number in (19, 21):
        with pytest.raises(InputError, match='20 entries for'):
            people(value, video(number))
    assert people([A, B], video(20), 13) == [A, B]  # the same two everywhere


def test_two_readings_are_refused():
    rows = np.arange(80).reshape(20, 4)
    for value in (rows, rows.tolist(), [dict(bbox=row) for row in rows]):
        with pytest.raises(InputError, match='all of them in each, or one in each'):
            people(value, video(20))
        with pytest.raises(InputError, match='all of them in each, or one in each'):
            people(value, video(None, count=lambda: 20))
        with pytest.raises(InputError, match='all of them in each, or one in each'):
            people(value, images(*(f'/d/{n}.jpg' for n in range(20))))
    assert len(people(rows, video(21), 3)) == 20
    assert people([A], video(1)) == [A]  # both readings say the same


def test_wrong_headers_are_no_reason_to_refuse():
    value = [[A]] * 3
    assert people(value, video(4, count=lambda: 3), 2) == [A]


def test_a_list_of_images_has_an_entry_for_each():
    source = images('/d/a.jpg', '/d/b.jpg', in_list=True)
    assert people([[A], [A, B]], source, 1) == [A, B]
    assert people([A, B], source, 1) == [B]
    assert people([dict(bbox=A), []], source, 0) == [dict(bbox=A)]
    for wrong, match in (
        (A, 'one person for 2 images'),
        ([[A]], '1 entries for 2'),
        ([[A]] * 3, '3 entries for 2'),
        ([[[A]], [[B]]], 'too many brackets'),
    ):
        with pytest.raises(InputError, match=match):
            people(wrong, source)


@pytest.mark.parametrize('wrong', ['boxes', b'boxes', 3, 1.5, True, {1, 2}, object()])
def test_what_is_no_list(wrong):
    with pytest.raises(InputError, match='expected a list with a list for each image'):
        Given(wrong)


def test_mixtures():
    with pytest.raises(InputError, match='a mixture'):
        Given([A, [B]])
    # one bad box is no reason to drop the good ones
    assert people(['x', A, None], images('/d/a.jpg')) == ['x', A, None]


def test_keypoints_have_one_dimension_more():
    points = np.zeros((17, 3))
    for value in (points, [points], points[None], [points.tolist()], [[points]]):
        (found,) = people(value, images('/d/a.jpg'), dimensions=KEYPOINTS)
        assert np.shape(found) == (17, 3)
    (found,) = people([[points + n] for n in range(5)], video(5), 3, dimensions=KEYPOINTS)
    assert found[0, 0] == 3
    with pytest.raises(InputError, match='all of them in each, or one in each'):
        people(np.zeros((5, 17, 3)), video(5), dimensions=KEYPOINTS)


def test_longer_videos_and_shorter_ones_are_told():
    given = Given([[A]] * 3).for_source(video(None))
    assert [len(given.people(n)) for n in range(3)] == [1, 1, 1] and not given.beyond_the_end()
    with pytest.raises(InputError, match='3 entries, but there are more'):
        given.people(3)
    assert given.people(4) == []  # told once
    given = Given({'clip.mp4': {'0': [A], '7': [A]}}).for_source(video(5))
    for number in range(5):
        given.people(number)
    assert 'entries up to number 7, but only 5 frames' in str(given.beyond_the_end())


def test_an_entry_that_is_no_list_harms_its_image_alone():
    given = Given({'a.jpg': 'x', 'b.jpg': [A], 'c.jpg': None}).for_source(
        images('/d/a.jpg', '/d/b.jpg', '/d/c.jpg')
    )
    for number in (0, 2):
        with pytest.raises(InputError, match='expected the people of this image'):
            given.people(number)
    assert given.people(1) == [A]
