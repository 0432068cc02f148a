# SPDX-License-Identifier: Apache-2.0
"""Genders, shapes, texts and paths of other people's files: brought into one form, or refused."""

import json

import numpy as np
import pytest

from fastmetro_mm.body.genders import parse_gender
from fastmetro_mm.dataset_tools.converters.files import read_json
from fastmetro_mm.dataset_tools.converters.foreign_paths import (
    files_below,
    find_image,
    key_of,
    read_image,
)
from fastmetro_mm.dataset_tools.converters.foreign_values import (
    betas_note,
    betas_of,
    betas_rows,
    numbers,
    pose_of,
    positive,
    shaped,
    text_of,
    texts,
)
from fastmetro_mm.dataset_tools.converters.rows import SkipRow
from fastmetro_mm.datasets.labels import LAYOUTS, make_label, parse_label
from fastmetro_mm.errors import DataRowError, DataSetError


@pytest.mark.parametrize(('value', 'expected'), [
    ('m', 'male'), ('M', 'male'), ('Male', 'male'), (b'male', 'male'), (np.bytes_(b'f'), 'female'),
    (np.str_('Female'), 'female'), (np.array('f'), 'female'), (np.array(b'M'), 'male'),
    ('n', 'neutral'), ('NEUTRAL ', 'neutral'), (None, 'none'), ('', 'none'), ('none', 'none'),
])  # fmt: skip
def test_genders(value, expected):
    assert parse_gender(value) == expected


@pytest.mark.parametrize(
    'value', ['x', "b'male'", 'man', 0, 1, True, float('nan'), ['m'], b'\xff', np.array(['m', 'f'])]
)
def test_unknown_genders_are_refused_not_neutral(value):
    with pytest.raises(ValueError, match='expected male, female or neutral'):
        parse_gender(value)


def test_betas_of_any_length_from_ten_on():
    values = np.arange(300.0)
    for size in (10, 11, 16, 300):
        assert betas_of(values[:size]).tolist() == values[:10].tolist()
        assert betas_of(values[None, :size]).tolist() == values[:10].tolist()
        rows = betas_rows(np.stack([values[:size], values[:size] + 1]), 2)
        assert rows.tolist() == [values[:10].tolist(), (values[:10] + 1).tolist()]
        assert betas_rows(values[:size], 3).tolist() == [values[:10].tolist()] * 3
    assert betas_note([10, 10]) == ''
    assert betas_note([10, 300, 16]) == '; of 16 or 300 betas the first 10 are taken'


@pytest.mark.parametrize('shape', [(10, 3), (6, 5), (3, 9), (3, 10, 1), (2, 10), (4, 10)])
def test_betas_of_another_layout_are_refused(shape):
    with pytest.raises(ValueError, match=r'betas has shape .*expected \(3, 10\)'):
        betas_rows(np.zeros(shape), 3)


@pytest.mark.parametrize('shape', [(3, 24), (69,), (72, 1), (36, 2), (2, 72), (1, 24, 3)])
def test_poses_of_another_layout_are_refused(shape):
    with pytest.raises(ValueError, match='pose has shape'):
        pose_of(np.zeros(shape))


def test_pose_layouts():
    pose = np.arange(72.0)
    for layout in (pose, pose.reshape(24, 3), pose[None]):
        assert pose_of(layout).tolist() == pose.tolist()
    assert shaped([[1, 2]], 'x', (2,), (1, 2)).tolist() == [1, 2]


@pytest.mark.parametrize(
    'value',
    [
        '1',
        ['1', '2'],
        None,
        [1, None],
        [[1], [1, 2]],
        [1j],
        {},
        b'1',
        np.array(['1']),
        [10**400],
        np.array([object()]),
    ],
)
def test_only_numbers_are_numbers(value):
    with pytest.raises(ValueError, match='does not hold numbers'):
        numbers(value, 'x')


def test_numbers_of_object_arrays():
    array = np.empty(2, object)
    array[:] = [np.arange(3), np.arange(3)]
    assert numbers(array, 'x').tolist() == [[0, 1, 2]] * 2


def test_texts():
    assert [text_of(v, 'x') for v in ('ä', 'ä'.encode(), np.str_('ä'), np.array('ä'))] == ['ä'] * 4
    for value in (b'\xff', 1, None, ['a'], 1.5):
        with pytest.raises(ValueError, match='text'):
            text_of(value, 'x')
    assert texts(np.array(['a', 'b']), 'x') == ['a', 'b'] and texts(np.array(b'a'), 'x') == [b'a']
    for value in ('ab', 3, np.array([['a', 'b']]), {'a': 1}):
        with pytest.raises(ValueError, match='not a list'):
            texts(value, 'x')


@pytest.mark.parametrize('value', [0, -1, float('nan'), float('inf'), '1', True, None])
def test_options_must_be_positive(value):
    with pytest.raises(ValueError, match='expected a number above 0'):
        positive(value, 'padding')


def test_images_are_found_inside_their_folder_only(tmp_path):
    root = tmp_path / 'images'
    (root / 'sub').mkdir(parents=True)
    for path in (root / 'sub' / 'a.jpg', tmp_path / 'secret.jpg', root / 'b\\c.jpg'):
        path.write_bytes(b'x')
    inside = root / 'sub' / 'a.jpg'
    for name in (
        'sub/a.jpg',
        'sub\\a.jpg',
        b'sub/a.jpg',
        np.bytes_(b'sub\\a.jpg'),
        str(inside),
        './sub/../sub/a.jpg',
    ):
        assert find_image(root, name) == inside
    assert find_image(root, 'b\\c.jpg') == root / 'b\\c.jpg'  # a real name on this system
    for name in (
        '../secret.jpg',
        '..\\secret.jpg',
        str(tmp_path / 'secret.jpg'),
        '',
        '.',
        'sub/../../secret.jpg',
        '/etc/passwd',
        'a\0b',
        f'{root}x/a.jpg',
    ):
        with pytest.raises(SkipRow, match='leads out of the image folder'):
            find_image(root, name)
    for name in (None, 3, ['a'], b'\xff\xfe'):
        with pytest.raises(SkipRow, match='text'):
            find_image(root, name)
        assert isinstance(key_of(name), str)
    (root / 'link').symlink_to(tmp_path)  # the user's own link
    assert read_image(find_image(root, 'link/secret.jpg')) == b'x'
    assert key_of('sub\\a.jpg') == 'sub/a.jpg'


def test_unreadable_images_cost_their_row_only(tmp_path):
    for name in ('a' * 5000, 'gone.jpg', '\udc80.jpg', '\ud800.jpg'):
        with pytest.raises(SkipRow, match='image not found'):
            read_image(find_image(tmp_path, name))
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    with pytest.raises(SkipRow, match='not found'):
        read_image(tmp_path / 'loop')


def test_linked_folders_are_walked_once(tmp_path):
    (tmp_path / 'far').mkdir()
    (tmp_path / 'far' / 'b.jpg').write_bytes(b'x')
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / 'a.jpg').write_bytes(b'x')
    (tmp_path / 'in' / 'link').symlink_to(tmp_path / 'far')
    (tmp_path / 'far' / 'circle').symlink_to(tmp_path / 'in')
    names = [path.relative_to(tmp_path / 'in').as_posix() for path in files_below(tmp_path / 'in')]
    assert names == ['a.jpg', 'link/b.jpg']


def test_json_with_bom_utf16_and_deep_brackets(tmp_path):
    path = tmp_path / 'x.json'
    for encoding in ('utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-32'):
        path.write_bytes('{"ä": 1}'.encode(encoding))
        assert read_json(path, 'x') == {'ä': 1}
    for data, words in (
        (b'<!DOCTYPE html><html>login</html>', 'is a web page'),
        (b'version https://git-lfs.github.com/spec/v1\n', 'is a Git LFS pointer'),
    ):
        path.write_bytes(data)
        with pytest.raises(DataSetError, match=rf'x\.json: expected json, but the file {words}'):
            read_json(path, 'x')
    for data in (b'[' * 100_000, b'\xff\xff\xff', b'{"a": ', b''):
        path.write_bytes(data)
        with pytest.raises(DataSetError, match=r'x\.json'):
            read_json(path, 'x')


# Labels: what is written can be read, and the other way round.


def _draw_label(rng: np.random.Generator, body: str) -> dict:
    """Arguments of `make_label`, each now and then wrong."""
    layout = LAYOUTS[body]
    shapes = dict(
        center=(2,),
        scale=(),
        joints_2d=(layout.num_joints, 3),
        joints_3d=(layout.num_joints, 4),
        pose=(layout.pose_size,),
        betas=(10,),
    )
    drawn = {name: rng.uniform(0.1, 1, shape) for name, shape in shapes.items()}
    for name in ('joints_2d', 'joints_3d', 'pose', 'betas'):
        if rng.random() < 0.2:
            drawn[name] = None
    drawn['gender'] = [None, 'm', 'Female', b'neutral', 'x', 3][rng.integers(6)]
    name = list(shapes)[rng.integers(6)]
    bad = [np.nan, np.inf, 1e7, -1e30, 0.0, -1.0, '1', None, [], 1j]
    change = rng.integers(4)
    if drawn[name] is not None and change < 2:
        value = bad[rng.integers(len(bad))]
        if change == 0 or isinstance(value, (str, list, type(None), complex)):
            drawn[name] = value
        else:
            drawn[name].flat[0] = value
    elif drawn[name] is not None and change == 2:
        drawn[name] = np.stack([drawn[name]] * rng.integers(1, 3))
    return drawn


def test_writer_and_reader_accept_the_same_labels():
    rng = np.random.default_rng(0)
    counts = {'both': 0, 'neither': 0}
    names = {'joints_2d': '2d_joints', 'joints_3d': '3d_joints'}
    for _ in range(3000):
        body = ['smpl', 'hand'][rng.integers(2)]
        drawn = _draw_label(rng, body)
        raw = {
            names.get(k, k): np.asarray(v).tolist() if isinstance(v, np.ndarray) else v
            for k, v in drawn.items()
        }
        raw['gender'] = (
            raw['gender'].decode() if isinstance(raw['gender'], bytes) else raw['gender']
        )
        raw.update(
            has_2d_joints=int(raw['2d_joints'] is not None),
            has_3d_joints=int(raw['3d_joints'] is not None),
            has_smpl=int(raw['pose'] is not None and raw['betas'] is not None),
        )
        try:
            text = json.dumps([raw]).encode()
            read = parse_label(text, LAYOUTS[body])
        except (DataRowError, TypeError):  # TypeError: json knows no complex numbers
            with pytest.raises(DataRowError):
                make_label(**drawn, body=body)
            counts['neither'] += 1
            continue
        made = make_label(**drawn, body=body)
        again = parse_label(json.dumps([made], allow_nan=False).encode(), LAYOUTS[body])
        for name in set(read) - {'gender'}:
            np.testing.assert_array_equal(again[name], read[name], err_msg=name)
        assert parse_gender(again['gender']) == parse_gender(read['gender'])
        counts['both'] += 1
    assert min(counts.values()) > 500


@pytest.mark.parametrize(('change', 'message'), [
    (dict(scale=-0.1), 'scale -0.1 means'), (dict(scale=0), 'scale 0 means'),
    (dict(scale=51), 'box of 10200 px'), (dict(center=(1e12, 0)), 'center holds'),
    (dict(joints_2d=np.full((24, 3), 1e30)), '2d_joints holds'),
    (dict(betas=np.zeros(11), pose=np.zeros(72)), r'betas has shape \(11,\)'),
    (dict(gender='unknown'), 'gender is'), (dict(scale='1'), 'scale does not hold numbers'),
])  # fmt: skip
def test_labels_that_the_loader_refuses_are_not_made(change, message):
    with pytest.raises(DataRowError, match=message):
        make_label(**{**dict(center=(5, 5), scale=1), **change})
