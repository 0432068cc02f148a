# SPDX-License-Identifier: Apache-2.0
"""Which image or frame a key of the given boxes means."""

import json

import numpy as np
import pytest

from fastmetro_mm.apis.boxes import parse_box
from fastmetro_mm.apis.given import Given, read_boxes
from fastmetro_mm.errors import InputError, MissingFileError
from tests.apis.given_sources import A, B, images, people, video

# keys


@pytest.mark.parametrize(
    'key',
    [
        '/data/sa/p.png',
        'sa/p.png',
        'p.png',
        'p',
        'sa/p',
        './sa/p.png',
        'sa\\p.png',
        'P.PNG',
        'data/sa/p.png',
        'SA/p.png',
    ],
)
def test_keys_that_mean_an_image(key):
    given = Given({key: [A]})
    source = images('/data/sa/other.png', '/data/sa/p.png')
    assert given.for_source(source).people(1) == [A]
    assert given.for_source(source).people(0) == []
    assert given.left_over() is None


def test_keys_as_the_path_was_given(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, key in (
        ('sa/p.png', 'sa/p.png'),
        ('sa/p.png', str(tmp_path / 'sa/p.png')),
        ('../x/p.png', '../x/p.png'),
        ('https://host/p.png', 'https://host/p.png'),
        ('caf\u00e9.jpg', 'cafe\u0301.jpg'),
    ):
        assert people({key: [A]}, images(name)) == [A]


def test_two_files_of_one_name_need_their_path():
    source = images('/d/a/p.png', '/d/b/p.png')
    with pytest.raises(InputError, match=r'fits /d/a/p.png and /d/b/p.png: give more of the path'):
        people({'p.png': [A]}, source)
    assert people({'a/p.png': [A], 'b/p.png': [B]}, source, 1) == [B]
    with pytest.raises(InputError, match='fits'):
        people({'p': [A]}, images('/d/p.png', '/d/p.jpg'))
    with pytest.raises(InputError, match='both fit'):
        people({'p.png': [A], 'p': [B]}, images('/d/p.png'))
    # written exactly goes before written alike
    assert people({'Photo.PNG': [A]}, images('/d/photo.png', '/d/Photo.PNG'), 1) == [A]
    # the same file twice is no doubt
    assert people({'p.png': [A]}, images('/d/p.png', '/d/p.png'), 1) == [A]


@pytest.mark.parametrize('key', [3, '3', '000003', np.int64(3)])
def test_numbers_mean_frames(key):
    given = Given({key: [A]})
    frames = given.for_source(video(5))
    assert [len(frames.people(n)) for n in range(5)] == [0, 0, 0, 1, 0]
    assert given.left_over() is None
    assert people({key: [A]}, images(None, None, None, None), 3) == [A]  # arrays


def test_files_with_numbers_for_names_are_meant_by_them():
    source = images('/d/000001.jpg', '/d/000002.jpg', '/d/000003.jpg')
    for key in ('000002', '2', '000002.jpg', 2):
        assert people({key: [A]}, source, 1) == [A]
    assert 'fit no image' in str(_left({'0': [A]}, source))


def _left(value, source):
    given = Given(value)
    given.for_source(source)
    return given.left_over()


@pytest.mark.parametrize('name', ['/films/clip.mp4', 'films/clip.mp4', 'clip.mp4', 'clip'])
def test_a_video_may_be_meant_by_name(name):
    for value in ([A], A, dict(bbox=A)):
        (found,) = people({name: value}, video(5), 4)
        assert parse_box(found, 'a').bbox.tolist() == A
    assert people({name: {'4': [A]}}, video(5), 4) == [A]
    assert people({name: [[A], [B]]}, video(2), 1) == [B]
    with pytest.raises(InputError, match='expected the numbers of frames'):
        people({name: {'first': [A]}}, video(5))


def test_keys_left_over_are_told():
    given = Given({'a.jpg': [A], 'b.jpg': [B], 'frame_0': [A]})
    given.for_source(images('/d/a.jpg'))
    text = str(given.left_over())
    assert "2 of 3 keys fit no image or frame: 'b.jpg', 'frame_0'" in text
    given.for_source(images('/d/b.jpg'))
    assert '1 of 3 keys' in str(given.left_over())
    frames = Given({'0': [A], '9': [A]})
    found = frames.for_source(video(5))
    for number in range(5):
        found.people(number)
    assert "'9'" in str(frames.left_over())


def test_many_keys_take_no_time():
    count = 20_000
    names = [f'/data/images/{n:08d}.jpg' for n in range(count)]
    given = Given({f'images/{n:08d}.jpg': [A] for n in range(count)})
    found = given.for_source(images(*names))
    assert all(found.people(n) == [A] for n in (0, 777, count - 1))
    assert given.left_over() is None


def test_track_ids_that_were_given():
    value = {'0': [dict(bbox=A, track_id=4), A], '1': dict(bbox=A, track_id=np.int64(7)), '2': 'x'}
    assert set(Given(value).for_source(video(3)).track_ids()) == {4, 7}


# files


def test_files_of_boxes(tmp_path):
    path = tmp_path / 'boxes.json'
    for text in (json.dumps({'a.jpg': [A]}), '\ufeff' + json.dumps({'a.jpg': [A]})):
        path.write_text(text, encoding='utf-8')
        assert read_boxes(path).for_source(images('/d/a.jpg')).people(0) == [A]
    for text, match in (
        ('{', 'not JSON'),
        ('3', 'expected a list'),
        ('"a"', 'expected a list'),
        ('{"a": [], "a": []}', "'a' comes twice"),
        ('[' * 100_000, 'not JSON'),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=match):
            read_boxes(path)
    path.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(InputError, match='not JSON'):
        read_boxes(path)
    with pytest.raises(MissingFileError, match='no such file of boxes'):
        read_boxes(tmp_path / 'missing.json')
