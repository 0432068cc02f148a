# SPDX-License-Identifier: Apache-2.0
"""Model files: pickles and npz give the same arrays, nothing is ever executed."""

import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from scipy import sparse

from fastmetro_mm.body.build import build_body_model, load_model_arrays
from fastmetro_mm.body.left_hand import read_left_hand
from fastmetro_mm.body.model_files import find_model_file, read_model_file
from fastmetro_mm.errors import BodyDataError, MissingBodyFileError, UnsafePickleError


def assert_same(first, second):
    assert first.keys() == second.keys()
    for key in first:
        assert first[key].dtype == second[key].dtype, key
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


@pytest.mark.parametrize(
    ('family', 'shape_class', 'csc_module'),
    [
        ('smpl', 'Ch', 'scipy.sparse.csc'),
        ('smpl', 'Select', 'scipy.sparse._csc'),
        ('mano', 'Select', 'scipy.sparse.csc'),
    ],
)
def test_official_pickle_equals_npz(
    tmp_path, model_arrays, write_official_pickle, family, shape_class, csc_module
):
    arrays = model_arrays(family)
    path = write_official_pickle(tmp_path / 'model.pkl', arrays, shape_class, csc_module)
    np.savez(tmp_path / 'model.npz', **arrays)
    from_pickle = read_model_file(path)
    assert_same(from_pickle, read_model_file(tmp_path / 'model.npz', family))
    for key in ('v_template', 'shapedirs', 'posedirs', 'J_regressor', 'weights'):
        np.testing.assert_array_equal(from_pickle[key], arrays[key])
    assert from_pickle['kintree_table'][0, 0] == -1
    assert from_pickle['kintree_table'][0, 1:].tolist() == arrays['kintree_table'][0, 1:].tolist()


@pytest.mark.parametrize('protocol', range(6))
def test_every_pickle_protocol(tmp_path, model_arrays, protocol):
    arrays = model_arrays('mano')
    content = dict(arrays, scale=np.float64(2))
    content['J_regressor'] = sparse.csc_matrix(arrays['J_regressor'])
    path = tmp_path / 'model.pkl'
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    np.testing.assert_array_equal(read_model_file(path)['J_regressor'], arrays['J_regressor'])


def test_regressor_as_csc_parts_and_as_object(tmp_path, model_arrays):
    arrays = model_arrays('mano')
    csc = sparse.csc_matrix(arrays.pop('J_regressor'))
    parts = {f'J_regressor_{key}': getattr(csc, key) for key in ('data', 'indices', 'indptr')}
    np.savez(tmp_path / 'parts.npz', **arrays, **parts, J_regressor_shape=csc.shape)
    boxed = np.empty((), object)
    boxed[()] = csc
    np.savez(tmp_path / 'boxed.npz', **arrays, J_regressor=boxed)
    for name in ('parts.npz', 'boxed.npz'):
        read = read_model_file(tmp_path / name)['J_regressor']
        np.testing.assert_array_equal(read, csc.toarray())


def test_300_betas_keep_the_first_ten(tmp_path, model_arrays, write_official_pickle):
    arrays = model_arrays('smpl', num_betas=300)
    path = write_official_pickle(tmp_path / 'basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl', arrays)
    np.testing.assert_array_equal(
        read_model_file(path)['shapedirs'], arrays['shapedirs'][:, :, :10]
    )
    assert find_model_file('smpl', tmp_path) == path


@pytest.mark.parametrize('root', [2**32 - 1, -1, 2**32, 255])
def test_root_parent_in_all_its_forms(tmp_path, model_arrays, root):
    arrays = model_arrays('mano')
    table = arrays['kintree_table'].astype(np.int64)
    table[0, 0] = root
    np.savez(tmp_path / 'm.npz', **dict(arrays, kintree_table=table.astype(np.float64)))
    assert read_model_file(tmp_path / 'm.npz')['kintree_table'][0, :2].tolist() == [-1, 0]


class _Calls:
    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('ending', ['pkl', 'npz'])
def test_pickle_that_calls_something_is_refused_before_it_runs(tmp_path, model_arrays, ending):
    arrays = model_arrays('mano')
    trace = tmp_path / 'trace'
    for function, args in (
        (os.system, (f'touch {trace}',)),
        (open, (str(trace), 'w')),
        (eval, (f'open({str(trace)!r}, "w")',)),
        (print, ('ran',)),
        (np.save, (str(trace), np.zeros(1))),
    ):
        attack = _Calls(function, *args)
        path = tmp_path / f'model.{ending}'
        if ending == 'pkl':
            path.write_bytes(pickle.dumps(dict(arrays, extra=attack), protocol=2))
        else:
            boxed = np.empty((), object)
            boxed[()] = attack
            np.savez(path, **dict(arrays, J_regressor=boxed))
        with pytest.raises(UnsafePickleError, match='refused') as caught:
            read_model_file(path)
        assert '\n' not in str(caught.value) and str(path) in str(caught.value)
        assert not list(tmp_path.glob('trace*'))
    # The same pickle does run under pickle.load: the attack itself is real.
    pickle.loads(pickle.dumps(_Calls(open, str(trace), 'w'))).close()
    assert trace.exists()


@pytest.mark.parametrize(
    'payload',
    [
        b'cnumpy\nndarray\n(K\x01tR.',  # the array class itself cannot be called
        b'cnumpy.core.multiarray\n_reconstruct\n(c__builtin__\nset\n(tU\x01btR.',
        b'ccopy_reg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nobject\nNtR.',
        b'\x80\x02}q\x00U\x01a',
        b'',
        b'not a pickle',
    ],
)
def test_odd_or_damaged_pickles_give_one_clear_error(tmp_path, payload):
    path = tmp_path / 'model.pkl'
    path.write_bytes(payload)
    with pytest.raises(BodyDataError, match=r'damaged|not a SMPL|is empty') as caught:
        read_model_file(path)
    assert '\n' not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize('ending', ['pkl', 'npz'])
@pytest.mark.parametrize('share', [0.001, 0.4, 0.98])
def test_truncated_file(tmp_path, model_arrays, write_official_pickle, ending, share):
    arrays = model_arrays('mano')
    path = tmp_path / f'MANO_RIGHT.{ending}'
    if ending == 'pkl':
        write_official_pickle(path, arrays)
    else:
        np.savez(path, **arrays)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(BodyDataError, match='truncated') as caught:
        read_model_file(path)
    assert '\n' not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(weights=np.zeros((778, 24))), r'weights must have shape \(778, 16\)'),
        (dict(shapedirs=np.zeros((778, 3, 6))), 'shapedirs must have shape'),
        (dict(posedirs=np.zeros((778, 3, 207))), 'posedirs must have shape'),
        (dict(v_template=np.zeros((10475, 3))), 'found SMPL-X with 10475 vertices'),
        (dict(v_template=np.zeros((12, 3))), 'unknown model with 12 vertices'),
        (dict(v_template=np.full((778, 3), np.nan)), 'not finite'),
        (dict(f=np.full((4, 3), 900)), 'triangles over 778 vertices'),
        (dict(kintree_table=np.tile(np.arange(16), (2, 1))), 'kintree_table'),
        (dict(J_regressor=None), 'has no J_regressor'),
        (dict(hands_mean=None), 'must hold hands_mean'),
        (dict(weights=np.zeros((778, 16))), 'row of weights must sum to one, row 0 sums to 0'),
        (dict(weights=np.full((778, 16), 2 / 16)), 'weights must sum to one, .* sums to 2'),
        (
            dict(weights=np.eye(778, 16) * 3 - 2 / 16 + (np.arange(778) >= 16)[:, None] * 3 / 16),
            'weights must not be negative',
        ),
        (dict(J_regressor=np.zeros((16, 778))), 'row of J_regressor must sum to one'),
        (dict(v_template=np.random.default_rng(0).normal(size=(778, 3)) * 500), 'millimetres'),
        (dict(f=np.full((4, 3), 1.5)), r'f must hold whole numbers, found 1\.5'),
        (dict(f=np.full((4, 3), np.nan)), 'f holds values that are not finite'),
        (dict(f=np.zeros((0, 3), int)), 'f must have shape'),
        (dict(weights=np.zeros((778, 16), complex)), 'weights does not hold numbers'),
    ],
)
def test_wrong_content_is_named(tmp_path, model_arrays, change, message):
    arrays = {k: v for k, v in (model_arrays('mano') | change).items() if v is not None}
    np.savez(tmp_path / 'm.npz', **arrays)
    with pytest.raises(BodyDataError, match=message) as caught:
        read_model_file(tmp_path / 'm.npz')
    assert '\n' not in str(caught.value) and 'm.npz' in str(caught.value)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'<!DOCTYPE html><html>Sign in</html>', 'web page'),
        (b'version https://git-lfs.github.com/spec/v1\n', 'git lfs pull'),
        (b'', 'is empty'),
        (bytes(5000), 'zero bytes only'),
        (b'\x1f\x8b\x08\x00', 'gunzip'),
        ('zip', 'zip archive of basicModel_neutral_lbs_10_207_0_v1.0.0.pkl: unpack it'),
    ],
)
@pytest.mark.parametrize('ending', ['pkl', 'npz'])
def test_other_kinds_of_files_are_named(tmp_path, content, message, ending):
    path = tmp_path / f'SMPL_NEUTRAL.{ending}'
    if content == 'zip':
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('models/basicModel_neutral_lbs_10_207_0_v1.0.0.pkl', b'x')
    else:
        path.write_bytes(content)
    with pytest.raises(BodyDataError, match=message) as caught:
        read_model_file(path)
    assert str(caught.value).startswith(str(path)) and '\n' not in str(caught.value)


def test_sizes_are_compared_before_anything_is_read(tmp_path, model_arrays):
    """An archive of 40 kB whose posedirs would be 2 GB, and a sparse matrix of any size."""
    arrays = model_arrays('mano')
    arrays['posedirs'] = np.zeros((778, 3, 3000))
    np.savez_compressed(tmp_path / 'm.npz', **arrays)
    tracemalloc.start()
    with pytest.raises(BodyDataError, match='posedirs must have shape'):
        read_model_file(tmp_path / 'm.npz')
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    huge = sparse.csr_matrix((16, 2_000_000_000), dtype=np.float64)
    content = dict(model_arrays('mano'), J_regressor=huge)
    (tmp_path / 'm.pkl').write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(BodyDataError, match=r'J_regressor must have shape \(16, 778\)'):
        read_model_file(tmp_path / 'm.pkl')


def test_empty_bytes_of_protocol_2_are_no_attack(tmp_path, model_arrays):
    """Python 3 writes b'' as a call of bytes()."""
    content = dict(model_arrays('mano'), note=b'', nothing=np.zeros((0, 3)))
    data = pickle.dumps(content, protocol=2)
    assert b'__builtin__\nbytes\n' in data
    (tmp_path / 'm.pkl').write_bytes(data)
    read_model_file(tmp_path / 'm.pkl')
    # bytes(10**12) would ask for a terabyte
    call = b'\x80\x02c__builtin__\nbytes\n\x8a\x05\x00\x10\xa5\xd4\xe8\x85R.'
    (tmp_path / 'm.pkl').write_bytes(call)
    with pytest.raises(BodyDataError, match='unexpected arguments of bytes'):
        read_model_file(tmp_path / 'm.pkl')


def test_wrong_model_is_named(tmp_path, model_arrays, write_official_pickle):
    write_official_pickle(tmp_path / 'SMPL_NEUTRAL.pkl', model_arrays('mano'))
    with pytest.raises(BodyDataError, match=r'expected SMPL .*found MANO with 778 vertices'):
        build_body_model('smpl', tmp_path)


def test_missing_file_says_where_it_comes_from(tmp_path, monkeypatch):
    monkeypatch.delenv('FASTMETRO_BODY_DATA', raising=False)
    with pytest.raises(MissingBodyFileError) as caught:
        build_body_model('smpl', tmp_path, gender='female')
    text = str(caught.value)
    for part in ('SMPL_FEMALE.pkl', str(tmp_path), 'https://smpl.is.tue.mpg.de',
                 'FASTMETRO_BODY_DATA', 'fastmetro prepare'):  # fmt: skip
        assert part in text
    assert '\n' not in text
    with pytest.raises(FileNotFoundError, match=r'MANO_RIGHT\.pkl'):
        find_model_file('mano', tmp_path)


def test_files_are_found_in_subfolders_and_by_environment(tmp_path, model_arrays, monkeypatch):
    (tmp_path / 'models' / 'smpl').mkdir(parents=True)
    path = tmp_path / 'models' / 'smpl' / 'basicModel_m_lbs_10_207_0_v1.0.0.pkl'
    path.touch()
    assert find_model_file('smpl', tmp_path, gender='male') == path
    assert find_model_file('smpl', tmp_path, gender='m') == path
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(tmp_path))
    assert find_model_file('smpl', 'elsewhere', gender='male') == path
    with pytest.raises(ValueError, match='unknown gender'):
        find_model_file('smpl', tmp_path, gender='x')
    with pytest.raises(ValueError, match='unknown body model'):
        find_model_file('smplx', tmp_path)


def _left_of(right):
    mirror = np.array([-1.0, 1.0, 1.0])
    left = dict(right, v_template=right['v_template'] * mirror)
    left['shapedirs'] = right['shapedirs'] * mirror[None, :, None]
    return left


def test_left_hand_sign_error(tmp_path, model_arrays):
    right = model_arrays('mano')
    correct = _left_of(right)
    published = dict(correct, shapedirs=right['shapedirs'].copy())
    published['shapedirs'][:, 1:] = correct['shapedirs'][:, 1:]
    for folder, left, beside in (
        ('published', published, True),
        ('correct', correct, True),
        ('alone', published, False),
    ):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / 'MANO_LEFT.npz', **left)
        if beside:
            np.savez(tmp_path / folder / 'MANO_RIGHT.npz', **right)
        read = load_model_arrays('mano', tmp_path / folder, side='left')
        np.testing.assert_array_equal(read['shapedirs'], correct['shapedirs'])
        # A file written from fixed arrays is not fixed twice.
        np.savez(tmp_path / folder / 'again.npz', **read)
        again = read_left_hand(tmp_path / folder / 'again.npz')
        np.testing.assert_array_equal(again['shapedirs'], correct['shapedirs'])
    kept = load_model_arrays('mano', tmp_path / 'published', side='left', fix_left_shapedirs=False)
    np.testing.assert_array_equal(kept['shapedirs'], published['shapedirs'])


def test_replaced_file_is_read_again(tmp_path, model_arrays):
    path = tmp_path / 'MANO_RIGHT.npz'
    np.savez(path, **model_arrays('mano', seed=1))
    first = load_model_arrays('mano', tmp_path)['v_template']
    np.savez(path, **model_arrays('mano', seed=2))
    os.utime(path, ns=(1, 1))
    assert not np.array_equal(first, load_model_arrays('mano', tmp_path)['v_template'])
