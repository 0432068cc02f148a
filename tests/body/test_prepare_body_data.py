# SPDX-License-Identifier: Apache-2.0
"""The importer of official body data, on a checkout put together from the official files."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import load_model_arrays

COPIED = {'mesh_downsampling.npz', 'mano_downsampling.npz', 'J_regressor_extra.npy',
          'J_regressor_h36m_correct.npy', 'smpl_1723_edges.npy', 'smpl_1723_faces.npy'}  # fmt: skip


@pytest.fixture(scope='module')
def tool():
    path = Path(__file__).resolve().parents[2] / 'tools' / 'prepare_body_data.py'
    spec = importlib.util.spec_from_file_location('prepare_body_data', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=['src/modeling/data'])
def checkout(request, tmp_path, shared_dir, monkeypatch):
    monkeypatch.delenv('FASTMETRO_BODY_DATA', raising=False)
    folder = tmp_path / 'checkout' / request.param
    folder.mkdir(parents=True)
    for path in (shared_dir / 'data' / 'metro').iterdir():
        shutil.copyfile(path, folder / path.name)
    return tmp_path / 'checkout'


def data_of(checkout):
    return next(checkout.glob('*/modeling/data'))


@pytest.mark.parametrize('checkout', ['src/modeling/data', 'metro/modeling/data'], indirect=True)
def test_checkout_is_checked_and_laid_out(tool, checkout, tmp_path, capsys):
    out = tmp_path / 'out'
    assert tool.main(['--from', str(checkout), '--out', str(out)]) == 0
    text = capsys.readouterr().out
    assert text.count('ok  ') == 7
    for part in ('levels 6890-1723-431', 'D one-hot', '5163 edges and 3451 triangles',
                 'A[2] + I', 'A[1] + I', 'must not be redistributed'):  # fmt: skip
        assert part in text
    assert {path.name for path in out.iterdir()} == COPIED
    for name in COPIED:
        assert (out / name).read_bytes() == (data_of(checkout) / name).read_bytes()
    assert load_body_assets('smpl', out).num_vertices == (6890, 1723, 431)


def test_metro_checkout_without_the_loss_tables(tool, checkout, tmp_path, capsys):
    for name in ('smpl_1723_edges.npy', 'smpl_1723_faces.npy'):
        (data_of(checkout) / name).unlink()
    assert tool.main(['--from', str(checkout), '--out', str(tmp_path / 'out')]) == 0
    assert 'derived from A[1]' in capsys.readouterr().out
    assert len(load_body_assets('smpl', tmp_path / 'out').loss_faces) == 3451


def test_model_files_are_copied_and_converted(
    tool, checkout, tmp_path, capsys, model_arrays, write_official_pickle
):
    out = tmp_path / 'out'
    inside = data_of(checkout) / 'basicModel_neutral_lbs_10_207_0_v1.0.0.pkl'
    write_official_pickle(inside, model_arrays('smpl'))
    right = write_official_pickle(tmp_path / 'MANO_RIGHT.pkl', model_arrays('mano'), 'Select')
    left = write_official_pickle(tmp_path / 'MANO_LEFT.pkl', model_arrays('mano'), 'Select')
    command = ['--from', str(checkout), '--mano', str(right), str(left), '--out', str(out)]
    assert tool.main(command) == 0
    assert 'SMPL model, 6890 vertices' in capsys.readouterr().out
    for name in (inside.name, 'MANO_RIGHT.pkl', 'MANO_LEFT.pkl'):
        plain = (out / name).with_suffix('.npz')
        with np.load(plain, allow_pickle=False) as archive:
            assert archive['v_template'].dtype == np.float64
    for name, side in (('smpl', 'right'), ('mano', 'right'), ('mano', 'left')):
        first = load_model_arrays(name, out, side=side)
        for path in out.glob('*.npz'):
            if path.stem.startswith(('basic', 'MANO')):
                path.rename(path.with_suffix('.kept'))
        second = load_model_arrays(name, out, side=side)
        for key in first:
            np.testing.assert_array_equal(first[key], second[key])
        for path in out.glob('*.kept'):
            path.rename(path.with_suffix('.npz'))


def _save(name, change):
    def damage(folder):
        value = np.load(folder / name)
        np.save(folder / name, change(value))

    return damage


def _adjacency(folder):
    values = torch.load(folder / 'smpl_431_adjmat_values.pt', weights_only=True)
    torch.save(values * 2, folder / 'smpl_431_adjmat_values.pt')


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda f: (f / 'J_regressor_extra.npy').unlink(), 'J_regressor_extra.npy missing'),
        (lambda f: shutil.copyfile(f / 'mano_downsampling.npz', f / 'mesh_downsampling.npz'),
         'levels must have (6890, 1723, 431) vertices'),
        (lambda f: (f / 'mesh_downsampling.npz').write_bytes(b'PK'), 'truncated'),
        (_save('smpl_1723_edges.npy', lambda v: v[::-1]), 'not the edges of A[1]'),
        (_save('smpl_1723_faces.npy', lambda v: v[:-1]), 'not the triangles of A[1]'),
        (_save('J_regressor_h36m_correct.npy', lambda v: v[:, :778]), 'expected shape (17, 6890)'),
        (_save('J_regressor_h36m_correct.npy', lambda v: v * 2), 'must sum to one'),
        (_adjacency, 'not A[2] + I'),
    ],
)  # fmt: skip
def test_a_bad_file_stops_everything(tool, checkout, tmp_path, capsys, damage, message):
    damage(data_of(checkout))
    out = tmp_path / 'out'
    assert tool.main(['--from', str(checkout), '--out', str(out)]) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error and error.count('\n') == 1
    assert not out.exists()


def test_runs_as_a_script_from_anywhere(tool, tmp_path):
    command = [sys.executable, tool.__file__, '--from', 'nowhere']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('error: nowhere: no such folder')


def test_wrong_arguments(tool, tmp_path, capsys, model_arrays):
    out = ['--out', str(tmp_path / 'out')]
    assert tool.main(['--from', str(tmp_path / 'none'), *out]) == 1
    assert 'no such folder' in capsys.readouterr().err
    assert tool.main(['--from', str(tmp_path), *out]) == 1
    assert 'neither a FastMETRO nor a METRO checkout' in capsys.readouterr().err
    np.savez(tmp_path / 'my_smpl.npz', **model_arrays('smpl'))
    assert tool.main(['--smpl', str(tmp_path / 'my_smpl.npz'), *out]) == 1
    assert 'rename it to one of' in capsys.readouterr().err
    np.savez(tmp_path / 'MANO_RIGHT.npz', **model_arrays('smpl'))
    assert tool.main(['--mano', str(tmp_path / 'MANO_RIGHT.npz'), *out]) == 1
    assert 'found SMPL with 6890 vertices' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main(out)


def test_nothing_but_files_is_replaced(tool, tmp_path, capsys, model_arrays):
    """A link or a folder under the name of a target: said before anything is written."""
    source = tmp_path / 'in' / 'MANO_RIGHT.npz'
    source.parent.mkdir()
    np.savez(source, **model_arrays('mano'))
    out = tmp_path / 'out'
    out.mkdir()
    target, elsewhere = out / source.name, tmp_path / 'elsewhere.npz'
    for make, message in (
        (lambda: target.symlink_to(elsewhere), 'is a symbolic link'),
        (target.mkdir, 'is a folder'),
    ):
        make()
        assert tool.main(['--mano', str(source), '--out', str(out)]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f'error: {target}') and message in error
        assert error.count('\n') == 1 and not elsewhere.exists()
        target.unlink() if target.is_symlink() else target.rmdir()
    assert tool.main(['--mano', str(source), '--out', str(source)]) == 1
    assert 'is a file: give a folder with --out' in capsys.readouterr().err
    # into its own folder: the file stays as it is
    before = source.read_bytes()
    assert tool.main(['--mano', str(source), '--out', str(source.parent)]) == 0
    assert source.read_bytes() == before


def test_full_disk_leaves_nothing_half_written(tool, tmp_path, capsys, model_arrays, monkeypatch):
    source, out = tmp_path / 'MANO_RIGHT.npz', tmp_path / 'out'
    np.savez(source, **model_arrays('mano'))

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(shutil, 'copyfile', full)
    assert tool.main(['--mano', str(source), '--out', str(out)]) == 1
    error = capsys.readouterr().err
    assert 'No space left' in error and str(out / source.name) in error
    assert list(out.iterdir()) == []
