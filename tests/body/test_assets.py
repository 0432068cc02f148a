# SPDX-License-Identifier: Apache-2.0
"""Mesh levels and matrices: official files, the open body, and what is wrong with bad ones."""

import pickle
import shutil
import zipfile

import numpy as np
import pytest
import torch
from scipy import sparse

from fastmetro_mm.body import topology
from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.locations import OPEN_BODY_FOLDER
from fastmetro_mm.errors import BodyDataError, MissingBodyFileError, UnsafePickleError


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv('FASTMETRO_BODY_DATA', raising=False)


@pytest.fixture
def metro(shared_dir):
    return shared_dir / 'data' / 'metro'


def test_official_body_levels(metro):
    assets = load_body_assets('smpl', metro)
    assert assets.num_vertices == (6890, 1723, 431) and assets.joint_set == 'j14'
    assert [len(faces) for faces in assets.faces] == [13776, 3442, 858]
    assert [m.nnz for m in assets.adjacency] == [41328, 10326, 2574]
    assert assets.J_regressor_h36m.shape == (17, 6890)
    assert assets.J_regressor_extra.shape == (14, 6890)
    assert assets.J_regressor_extra[0].argmax() == 332  # the nose is one vertex
    assert load_body_assets('smpl', str(metro)) is assets


def test_official_hand_levels(metro):
    assets = load_body_assets('mano', metro)
    assert assets.num_vertices == (778, 195) and assets.joint_set == 'hand21'
    assert [len(faces) for faces in assets.faces] == [1538, 374]
    assert assets.loss_faces is assets.faces[0]
    with pytest.raises(ValueError, match='is a hand'):
        _ = assets.J_regressor_h36m


def test_derived_loss_tables_equal_the_official_files(metro, tmp_path):
    edges, faces = np.load(metro / 'smpl_1723_edges.npy'), np.load(metro / 'smpl_1723_faces.npy')
    with_files = load_body_assets('smpl', metro)
    shutil.copy(metro / 'mesh_downsampling.npz', tmp_path)
    without = load_body_assets('smpl', tmp_path)
    for assets in (with_files, without):
        np.testing.assert_array_equal(assets.loss_edges, edges)
        np.testing.assert_array_equal(assets.loss_faces, faces)
        assert assets.loss_edges.dtype == assets.loss_faces.dtype == np.int64


@pytest.mark.parametrize(
    ('name', 'level', 'stem'), [('smpl', 2, 'smpl_431'), ('mano', 1, 'mano_195')]
)
def test_adjacency_with_diagonal_equals_the_official_file(metro, name, level, stem):
    indices, size = (
        torch.load(metro / f'{stem}_adjmat_{part}.pt', weights_only=True)
        for part in ('indices', 'size')
    )
    official = np.zeros(tuple(size), bool)
    official[tuple(indices.numpy())] = True
    ours = load_body_assets(name, metro).adjacency[level].toarray()
    assert not ours.diagonal().any() and np.array_equal(ours, ours.T)
    np.testing.assert_array_equal(ours | np.eye(len(ours), dtype=bool), official)


@pytest.mark.parametrize('name', ['open_body', 'open_hand'])
def test_open_levels(name):
    if not (OPEN_BODY_FOLDER / f'{name}_sampling.npz').is_file():
        pytest.skip(f'{name} is not built')
    assets = load_body_assets(name, 'anywhere')
    expected = (6890, 1723, 431) if name == 'open_body' else (778, 195)
    assert assets.num_vertices == expected
    for i, (up, down) in enumerate(zip(assets.up, assets.down, strict=True)):
        assert up.shape == (expected[i], expected[i + 1]) and np.diff(up.indptr).max() <= 3
        assert set(down.data) == {1.0} and (np.diff(down.indptr) == 1).all()
        product = (down @ up - sparse.identity(expected[i + 1])).toarray()
        assert np.abs(product).max() < 1e-6
    for faces, adjacency in zip(assets.faces, assets.adjacency, strict=True):
        np.testing.assert_array_equal(
            topology.edges_from_faces(faces)[0], topology.edges_from_adjacency(adjacency)
        )
    if name == 'open_body':
        assert assets.J_regressor_h36m.shape == (17, 6890)
        assert assets.J_regressor_extra.shape == (14, 6890)
        assert assets.loss_faces is assets.faces[1]


def test_missing_file_is_one_line_with_the_mend(tmp_path, monkeypatch):
    with pytest.raises(MissingBodyFileError) as caught:
        load_body_assets('smpl', tmp_path)
    for part in ('mesh_downsampling.npz', str(tmp_path), 'FASTMETRO_BODY_DATA',
                 'fastmetro prepare --from CHECKOUT'):  # fmt: skip
        assert part in str(caught.value)
    assert '\n' not in str(caught.value)
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(tmp_path / 'other'))
    with pytest.raises(MissingBodyFileError, match='other'):
        load_body_assets('mano', tmp_path)
    with pytest.raises(ValueError, match="unknown body 'star'"):
        load_body_assets('star')


def test_missing_regressor_is_named_only_when_it_is_used(metro, tmp_path):
    shutil.copy(metro / 'mesh_downsampling.npz', tmp_path)
    assets = load_body_assets('smpl', tmp_path)
    with pytest.raises(MissingBodyFileError, match=r'J_regressor_h36m_correct\.npy'):
        _ = assets.J_regressor_h36m
    np.save(tmp_path / 'J_regressor_extra.npy', np.zeros((14, 778)))
    with pytest.raises(BodyDataError, match=r'must be \(14, 6890\), found \(14, 778\)'):
        _ = assets.J_regressor_extra


def test_hand_file_in_place_of_the_body_file(metro, tmp_path):
    shutil.copy(metro / 'mano_downsampling.npz', tmp_path / 'mesh_downsampling.npz')
    with pytest.raises(BodyDataError, match=r'needs levels of \(6890, 1723, 431\)') as caught:
        load_body_assets('smpl', tmp_path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('share', [0.0, 0.3, 0.9999])
def test_truncated_sampling_file(metro, tmp_path, share):
    data = (metro / 'mano_downsampling.npz').read_bytes()
    (tmp_path / 'mano_downsampling.npz').write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BodyDataError, match=r'truncated|is empty'):
        load_body_assets('mano', tmp_path)


def test_members_with_template_geometry_are_never_read(metro, tmp_path):
    _rewrite(metro / 'mesh_downsampling.npz', tmp_path / 'mesh_downsampling.npz', 'M', b'junk')
    assert load_body_assets('smpl', tmp_path).num_vertices[0] == 6890


def test_sampling_file_that_calls_something_is_refused(metro, tmp_path):
    trace = tmp_path / 'trace'

    class Attack:
        def __reduce__(self):
            return (open, (str(trace), 'w'))

    with zipfile.ZipFile(metro / 'mano_downsampling.npz') as archive:
        member = archive.read('A.npy')
    header = member[: 10 + int.from_bytes(member[8:10], 'little')]
    attack = header + pickle.dumps(Attack(), protocol=2)
    _rewrite(metro / 'mano_downsampling.npz', tmp_path / 'mano_downsampling.npz', 'A', attack)
    with pytest.raises(UnsafePickleError, match='refused'):
        load_body_assets('mano', tmp_path)
    assert not trace.exists()


def _rewrite(source, target, key, payload):
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, 'w') as out:
        for name in archive.namelist():
            out.writestr(name, payload if name == f'{key}.npy' else archive.read(name))
