# SPDX-License-Identifier: Apache-2.0
"""Small model files made on the spot: SMPL and MANO layout, with and without chumpy."""

import pickle
import sys
import types

import numpy as np
import pytest
from scipy import sparse

from fastmetro_mm.body.joint_sets import MANO16_PARENTS, SMPL24_PARENTS

SIZES = {'smpl': (6890, SMPL24_PARENTS, 13776), 'mano': (778, MANO16_PARENTS, 1538)}


def make_arrays(family: str, seed: int = 0, num_betas: int = 10) -> dict:
    """Random arrays in the layout of the family, with a uint32 tree as in official files."""
    vertices, parents, faces = SIZES[family]
    joints = len(parents)
    rng = np.random.default_rng(seed)
    weights = rng.random((vertices, joints)) * (rng.random((vertices, joints)) < 4 / joints)
    weights[:, 0] += 1e-3
    regressor = rng.random((joints, vertices)) * (rng.random((joints, vertices)) < 0.01)
    regressor[:, 0] += 1e-3
    arrays = dict(
        v_template=rng.normal(size=(vertices, 3)) * 0.5,
        shapedirs=rng.normal(size=(vertices, 3, num_betas)) * 0.02,
        posedirs=rng.normal(size=(vertices, 3, 9 * (joints - 1))) * 0.002,
        J_regressor=regressor / regressor.sum(1, keepdims=True),
        weights=weights / weights.sum(1, keepdims=True),
        kintree_table=np.array([parents, range(joints)], np.int64).astype(np.uint32),
        f=rng.integers(0, vertices, (faces, 3)).astype(np.uint32),
    )
    if family == 'mano':
        arrays['hands_mean'] = rng.normal(size=45) * 0.3
        arrays['hands_components'] = rng.normal(size=(45, 45))
    return arrays


@pytest.fixture
def model_arrays():
    """Factory: ``model_arrays('smpl' | 'mano', seed=0, num_betas=10)``."""
    return make_arrays


@pytest.fixture
def write_official_pickle(monkeypatch):
    """Factory that writes arrays as the official pickles are: chumpy, csc, old module names."""

    def write(path, arrays: dict, shape_class: str = 'Ch', csc_module: str = 'scipy.sparse.csc'):
        modules = {
            name: types.ModuleType(name) for name in ('chumpy', 'chumpy.ch', 'chumpy.reordering')
        }
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        ch = type('Ch', (), {'__module__': 'chumpy.ch'})
        select = type('Select', (ch,), {'__module__': 'chumpy.reordering'})
        modules['chumpy.ch'].Ch = ch
        modules['chumpy.reordering'].Select = select

        def wrapped(value):
            item = ch()
            item.__dict__.update(x=value, _dirty_vars={'x'}, _itr=None)
            return item

        content = dict(arrays, bs_style='lbs', bs_type='lrotmin')
        shapedirs = arrays['shapedirs']
        if shape_class == 'Select':
            padded = np.concatenate([shapedirs, shapedirs[:, :, :3] + 9], axis=2)
            order = np.arange(padded.size).reshape(padded.shape)[:, :, : shapedirs.shape[2]]
            item = select()
            item.__dict__.update(
                a=wrapped(padded), idxs=order.ravel(), preferred_shape=shapedirs.shape
            )
            content['shapedirs'] = item
        else:
            content['shapedirs'] = wrapped(shapedirs)
        content['v_template'] = wrapped(arrays['v_template'])
        content['J_regressor'] = sparse.csc_matrix(arrays['J_regressor'])
        content['J_regressor_prior'] = sparse.csc_matrix(arrays['J_regressor'])
        data = pickle.dumps(content, protocol=2)
        assert b'scipy.sparse._csc\n' in data and b'chumpy.ch\nCh\n' in data
        data = data.replace(b'scipy.sparse._csc\n', csc_module.encode() + b'\n')
        data = data.replace(b'numpy._core.multiarray\n', b'numpy.core.multiarray\n')
        path.write_bytes(data)
        for name in modules:
            monkeypatch.delitem(sys.modules, name)
        return path

    return write
