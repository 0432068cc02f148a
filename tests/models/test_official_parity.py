# SPDX-License-Identifier: Apache-2.0
"""Official weights through converter and config give the official numbers."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.apis import init_model

from fastmetro_mm.models.network_kind import model_kind

# official name of an output -> ours
OUTPUTS = {
    'pred_cam': 'pred_cam',
    'pred_3d_joints': 'joints',
    'pred_3d_vertices_coarse': 'vertices_coarse',
    'pred_3d_vertices_intermediate': 'vertices_mid',
    'pred_3d_vertices_fine': 'vertices',
}


def images(batch: int = 2, seed: int = 7) -> torch.Tensor:
    return torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(seed))


def load(repo_dir, config: str, checkpoint) -> torch.nn.Module:
    cfg = Config.fromfile(repo_dir / 'configs' / f'{config}.py')
    return init_model(cfg, str(checkpoint), device='cpu')


@pytest.mark.parametrize(
    ('config', 'kind'),
    [('fastmetro_s_r50_h36m', 'body_s_r50'), ('fastmetro_s_r50_freihand', 'hand_s_r50')],
)
def test_forward_equals_golden(
    config, kind, repo_dir, shared_dir, official_file, official_body_data
):
    model = load(repo_dir, config, official_file(kind))
    golden = np.load(shared_dir / 'golden' / f'forward_{kind}.npz')
    with torch.no_grad():
        first = model(images(), None, mode='tensor')
        second = model(images(), None, mode='tensor')  # with the kept first self-attention
    assert set(golden.files) <= set(OUTPUTS)
    for name in golden.files:
        for out in (first, second):
            difference = np.abs(getattr(out, OUTPUTS[name]).numpy() - golden[name]).max()
            assert difference <= 2e-5, f'{name}: {difference}'
    if kind.startswith('hand'):
        assert first.vertices_mid is None


def test_hrnet_backbone_equals_golden_and_smpl_head_gives_rotations(
    repo_dir, shared_dir, official_file, official_body_data
):
    model = load(repo_dir, 'fastmetro_smpl_l_h64_h36m', official_file('body_l_h64_smpl'))
    golden = np.load(shared_dir / 'golden' / 'backbone_h64.npz')
    with torch.no_grad():
        features = model.backbone(images())[-1]
        out = model(images(), None, mode='tensor')
    # the random weights grow the features to some 3000, so the tolerance is relative
    scale = float(np.abs(golden['features_every_32nd_channel']).max())
    assert features.shape == (2, 2048, 7, 7)
    error = np.abs(features[:, ::32].numpy() - golden['features_every_32nd_channel']).max()
    assert error <= 1e-5 * scale
    np.testing.assert_allclose(features.mean().item(), golden['mean'], rtol=1e-5)
    np.testing.assert_allclose(features.std().item(), golden['std'], rtol=1e-5)

    # reference.md: 25.68 M, 128.1 M less the 1000-way classifier, 9.73 M
    counts = {
        name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
    }
    assert counts['neck'] + counts['head'] == 25_679_894
    assert counts['backbone'] == 126_010_944
    assert counts['smpl_head'] == 9_734_370

    assert out.rotmat.shape == (2, 24, 3, 3)
    assert out.betas.shape == (2, 10)
    unit = out.rotmat @ out.rotmat.transpose(-1, -2)
    torch.testing.assert_close(unit, torch.eye(3).expand_as(unit), atol=1e-5, rtol=0)
    determinants = torch.linalg.det(out.rotmat)
    torch.testing.assert_close(determinants, torch.ones_like(determinants), atol=1e-5, rtol=0)


# reference.md: parameters of the released code, transformer part (classifier and SMPL head aside)
@pytest.mark.parametrize(
    ('config', 'transformer', 'kind'),
    [
        ('fastmetro_s_r50_h36m', 10_041_366, 'FastMETRO-S-R50 (body)'),
        ('fastmetro_m_r50_h36m', 17_860_630, 'FastMETRO-M-R50 (body)'),
        ('fastmetro_l_r50_h36m', 25_679_894, 'FastMETRO-L-R50 (body)'),
        ('fastmetro_s_r50_freihand', 9_179_782, 'FastMETRO-S-R50 (hand)'),
    ],
)
def test_parameter_counts_are_official(config, transformer, kind, repo_dir, official_body_data):
    model = init_model(str(repo_dir / 'configs' / f'{config}.py'), device='cpu')
    backbone = sum(p.numel() for p in model.backbone.parameters())
    assert backbone == 23_508_032  # torchvision's ResNet-50 without its classifier
    assert sum(p.numel() for p in model.parameters()) - backbone == transformer
    assert str(model_kind(model)) == kind
