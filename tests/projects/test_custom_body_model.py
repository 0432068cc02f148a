# SPDX-License-Identifier: Apache-2.0
"""``projects/custom_body_model``: the surface moves as the old one, and a network learns on it."""

import sys

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from scipy.spatial import cKDTree

from fastmetro_mm.body.assets import BODY_KINDS
from fastmetro_mm.body.mesh_body import build_body
from fastmetro_mm.body.model_checks import FAMILIES
from fastmetro_mm.body.own_body import register_body
from fastmetro_mm.engine.config_options import load_config
from fastmetro_mm.errors import ConfigError, MissingBodyFileError
from fastmetro_mm.structures import MeshDataSample
from projects.custom_body_model.build import main
from projects.custom_body_model.resampled import subdivide

LEVELS = (1500, 600, 160)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A coarse body, made by the command, and known by name while this module runs."""
    path = tmp_path_factory.mktemp('dense_body')
    sizes = [str(size) for size in LEVELS]
    main(['--out', str(path), '--vertices', sizes[0], '--levels', *sizes[1:]])
    yield path
    BODY_KINDS.pop('dense_body')
    FAMILIES.pop('dense_body')


def test_subdivision_by_hand():
    blend, faces = subdivide(np.array([[0, 1, 2]]), 3)
    corners = np.array([[0.0, 0], [2, 0], [0, 2]])
    assert (blend @ corners).tolist() == [[0, 0], [2, 0], [0, 2], [1, 0], [0, 1], [1, 1]]
    assert sorted(map(sorted, faces.tolist())) == [[0, 3, 4], [1, 3, 5], [2, 4, 5], [3, 4, 5]]


def test_the_same_pose_gives_the_same_person(folder):
    own, whole = build_body('dense_body'), build_body('open_body')
    assert own.num_vertices == LEVELS and own.assets.faces[0].shape == (2 * LEVELS[0] - 4, 3)
    generator = torch.Generator().manual_seed(0)
    pose = 0.3 * torch.randn(2, 72, generator=generator)
    betas = torch.randn(2, 10, generator=generator)
    mesh, true = own.pose(pose, betas), whole.pose(pose, betas)
    # every vertex is one of the old surface but for the pelvis, which is regressed a little aside
    for new, old in zip(mesh.vertices.numpy(), true.vertices.numpy(), strict=True):
        assert cKDTree(old).query(new)[0].max() < 3e-3
    assert float((mesh.joints - true.joints).norm(dim=-1).max()) < 0.02
    joints = [body.joints(m.vertices) for body, m in ((own, mesh), (whole, true))]
    assert float((joints[0] - joints[1]).norm(dim=-1).mean()) < 0.01
    coarse = own.sampling.down(mesh.vertices, 0, 2)
    assert coarse.shape == (2, LEVELS[2], 3)
    again = own.sampling.down(own.sampling.up(coarse, 2, 0), 0, 2)
    assert float((again - coarse).abs().max()) < 1e-5


def test_a_training_step(folder, repo_dir, monkeypatch):
    monkeypatch.setenv('FASTMETRO_DENSE_BODY', str(folder))
    # as in a new process: the config itself makes the body known
    monkeypatch.delitem(BODY_KINDS, 'dense_body')
    monkeypatch.delitem(sys.modules, 'projects.custom_body_model.bodies', raising=False)
    config = load_config(str(repo_dir / 'projects/custom_body_model/configs/dense_body.py'))
    network = MODELS.build(config.model)
    network.init_weights()
    labels = InstanceData(
        joints_2d=torch.zeros(1, 24, 3),
        joints_3d=torch.zeros(1, 24, 4),
        pose=torch.zeros(1, 72),
        betas=torch.zeros(1, 10),
        **{name: torch.ones(1) for name in ('has_smpl', 'has_2d', 'has_3d')},
    )
    sample = MeshDataSample(metainfo=dict(img_key='a', gender='none'))
    sample.gt_instance_labels = labels
    losses = network.train().loss(torch.zeros(2, 3, 192, 192), [sample, sample])
    losses['loss_mesh'].backward()
    assert torch.isfinite(losses['loss_mesh'])
    assert float(network.neck.vertex_token_embed.weight.grad.abs().sum()) > 0
    vertices = network.eval()(torch.zeros(1, 3, 192, 192), None, mode='tensor').vertices
    assert vertices.shape == (1, LEVELS[0], 3)


def test_mistakes_are_named(folder, tmp_path, capsys):
    with pytest.raises(ConfigError, match="'open_body' is one of the package's own"):
        register_body('open_body', folder)
    with pytest.raises(MissingBodyFileError, match=r'model\.npz .*run the build'):
        register_body('mine', tmp_path, 'run the build')
    with pytest.raises(ConfigError, match='1500 vertices as another model'):
        register_body('twin', folder)
    assert {'mine', 'twin'}.isdisjoint(BODY_KINDS)
    with pytest.raises(SystemExit):
        main(['--out', str(tmp_path), '--model', 'a.npz'])
    with pytest.raises(SystemExit):
        main(['--out', str(tmp_path), '--vertices', '900', '--levels', '950', '100'])
    assert '--levels: mesh levels: size 950 is not between' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
