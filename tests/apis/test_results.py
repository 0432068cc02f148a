# SPDX-License-Identifier: Apache-2.0
"""Results survive their files."""

import json
import zipfile
from dataclasses import fields, replace

import numpy as np
import pytest

from fastmetro_mm.apis import load_npz
from fastmetro_mm.errors import InputError


@pytest.fixture
def frame(three_people):
    found = three_people[0]
    people = [replace(found.people[0], track_id=7, is_right=False), *found.people[1:]]
    return replace(found, image_path='a.jpg', people=people, time=1.25)


def test_npz_gives_everything_back(frame, tmp_path):
    back = load_npz(frame.save_npz(tmp_path / 'sub' / 'a.npz'))
    assert (back.image_path, back.image_size, back.body) == ('a.jpg', (640, 480), 'open_body')
    assert np.array_equal(back.faces, frame.faces) and back.time == 1.25
    assert back.people[0].track_id == 7 and back.people[0].is_right is False
    assert back.people[1].track_id is None and back.people[1].is_right is None
    for mine, theirs in zip(frame.people, back.people, strict=True):
        for item in fields(mine):
            value = getattr(mine, item.name)
            assert np.array_equal(value, getattr(theirs, item.name)) or value is None
    assert [path.name for path in (tmp_path / 'sub').iterdir()] == ['a.npz']
    with zipfile.ZipFile(tmp_path / 'sub' / 'a.npz') as file:  # compressing takes 3 times as long
        assert {entry.compress_type for entry in file.infolist()} == {zipfile.ZIP_STORED}


def test_npz_without_people_and_files_of_others(frame, tmp_path):
    assert load_npz(replace(frame, people=[]).save_npz(tmp_path / 'a.npz')).people == []
    np.savez(tmp_path / 'b.npz', vertices=np.zeros(3))
    with pytest.raises(ValueError, match='format is None, expected fastmetro_mm'):
        load_npz(tmp_path / 'b.npz')


def test_damaged_npz_files_are_named(frame, tmp_path):
    path = replace(frame, image_path='a\udce9.jpg').save_npz(tmp_path / 'a.npz')
    data = path.read_bytes()
    assert len(load_npz(path).people) == 3
    rng = np.random.default_rng(0)
    variants = [
        data[: len(data) // 2],
        data[:100],
        b'',
        b'PK\x03\x04',
        b'nothing',
        data[:1000] + bytes(3000) + data[4000:],
    ]
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 30):
            damaged[place] = rng.integers(256)
        variants.append(bytes(damaged))
    refused = 0
    for content in variants:
        path.write_bytes(content)
        try:
            load_npz(path)
        except InputError as error:
            refused += 1
            assert str(error).startswith(str(path))
    assert refused > 50
    np.savez(path, format=np.array('fastmetro_mm.frame.1'), bbox_score=np.ones(2))
    with pytest.raises(InputError, match='an array is missing'):
        load_npz(path)
    with pytest.raises(FileNotFoundError):
        load_npz(tmp_path / 'missing.npz')
    with pytest.raises(InputError, match=r'must end with \.npz'):
        frame.save_npz(tmp_path / 'photo.jpg')


def test_sides_of_numpy_are_sides(frame):
    left = replace(frame.people[1], is_right=np.False_)
    assert left.is_right is False
    assert np.array_equal(frame.faces_of(left), frame.faces[:, ::-1])


def test_json_is_strict_and_small(frame, tmp_path):
    lost = replace(frame.people[0], translation=np.full(3, np.nan))
    path = replace(frame, people=[lost, frame.people[1]]).save_json(tmp_path / 'a.json')
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert content['people'][0]['translation'] == [None] * 3
    assert content['people'][1]['bbox'] == pytest.approx(frame.people[1].bbox)
    assert 'faces' not in content and 'vertices' not in content['people'][0]
    whole = frame.to_dict()
    assert np.shape(whole['people'][0]['vertices']) == (6890, 3)
    assert np.shape(whole['faces']) == frame.faces.shape


def test_left_hands_have_their_own_faces(frame):
    assert np.array_equal(frame.faces_of(frame.people[0]), frame.faces[:, ::-1])
    assert np.array_equal(frame.faces_of(frame.people[1]), frame.faces)
