# SPDX-License-Identifier: Apache-2.0
"""Left and right of a mesh, from its triangles."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.body.joint_sets import H36M17, H36M17_FLIP
from fastmetro_mm.body.mirror import mirrored_vertices
from fastmetro_mm.errors import ConfigError


def test_open_body_lies_on_its_mirror_image():
    permutation = mirrored_vertices(load_body_assets('open_body'))
    template = np.asarray(load_model_arrays('open_body')['v_template'])
    mirrored = template[permutation] * (-1, 1, 1)
    assert np.abs(mirrored - template).max() < 1e-6
    assert (permutation == np.arange(6890)).sum() == 108  # the midline


def test_official_body_has_one_symmetry(shared_dir):
    assets = load_body_assets('smpl', shared_dir / 'data' / 'metro')
    permutation = mirrored_vertices(assets)
    np.testing.assert_array_equal(permutation[permutation], np.arange(6890))
    faces = {tuple(sorted(face)) for face in assets.faces[0].tolist()}
    assert {tuple(sorted(face)) for face in permutation[assets.faces[0]].tolist()} == faces
    # left joints go where the right ones are: three edges around the vertices that they come from
    near = assets.adjacency[0].astype(float) + sparse.identity(6890)
    around = (near @ near @ near @ np.abs(assets.J_regressor_h36m).T > 1e-3).T  # (17, V)
    for joint, other in enumerate(H36M17_FLIP):
        mirrored = around[joint][permutation]
        if joint != other and 'Hip' not in H36M17[joint]:  # hips lie at the middle
            assert (mirrored & around[other]).sum() > 2 * (mirrored & around[joint]).sum()


def test_hand_keeps_its_vertices():
    np.testing.assert_array_equal(mirrored_vertices(load_body_assets('open_hand')), np.arange(778))


def test_lopsided_mesh_is_refused():
    # a tetrahedron with a second one on one of its faces, and a third on a face of that
    faces = np.array(
        [
            [0, 2, 1],
            [0, 1, 3],
            [0, 3, 2],
            [1, 4, 3],
            [2, 3, 4],
            [1, 2, 5],
            [1, 5, 4],
            [2, 6, 5],
            [2, 4, 6],
            [4, 5, 6],
        ]
    )
    assets = SimpleNamespace(name='odd', joint_set='j14', faces=[faces], num_vertices=(7,))
    with pytest.raises(ConfigError, match="body 'odd' have no left-right symmetry"):
        mirrored_vertices(assets)
