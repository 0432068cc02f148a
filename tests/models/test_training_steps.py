# SPDX-License-Identifier: Apache-2.0
"""Six optimiser steps of the official training code, on official weights."""

import json

import pytest
import torch
from mmengine.config import Config
from mmpose.apis import init_model

from fastmetro_mm.models.official_checkpoint import to_official

TERMS = (
    'j3d_token', 'j3d_mesh', 'v_coarse', 'v_mid', 'v_fine', 'edge_gt', 'edge_self', 'normal',
    'j2d_token', 'j2d_mesh', 'total',
)  # fmt: skip


def golden_targets(seed: int, batch: int) -> dict[str, torch.Tensor]:
    """Targets by the recipe of the golden numbers: one generator, calls in this order."""
    g = torch.Generator().manual_seed(seed)
    gt_vertices = 0.3 * torch.randn(batch, 6890, 3, generator=g)
    joints_3d = 0.3 * torch.randn(batch, 24, 3, generator=g)
    conf_3d = (torch.rand(batch, 24, 1, generator=g) > 0.2).float()
    joints_2d = 0.5 * torch.randn(batch, 24, 2, generator=g)
    conf_2d = (torch.rand(batch, 24, 1, generator=g) > 0.3).float()
    has_3d = (torch.rand(batch, generator=g) > 0.3).float()
    has_smpl = (torch.rand(batch, generator=g) > 0.3).float()
    return dict(
        gt_vertices=gt_vertices,
        joints_3d=torch.cat((joints_3d, conf_3d), dim=2),
        joints_2d=torch.cat((joints_2d, conf_2d), dim=2),
        has_3d=has_3d,
        has_smpl=has_smpl,
        has_2d=torch.ones(batch),
    )


def test_losses_and_gradients_follow_the_official_run(
    repo_dir, shared_dir, official_file, official_body_data
):
    path = shared_dir / 'golden' / 'training_steps_body_s_r50.json'
    golden = json.loads(path.read_text())['body_s_r50_seed51_B4']
    cfg = Config.fromfile(repo_dir / 'configs' / 'fastmetro_s_r50_h36m.py')
    cfg.model.neck.dropout = 0.0
    model = init_model(cfg, str(official_file('body_s_r50')), device='cpu').train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=1e-4)
    images = torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(121))
    targets = golden_targets(51, 4)

    for step, wanted in enumerate(golden[:4]):
        out = model(images, None, mode='tensor')
        terms = model.head.criterion(
            pred_cam=out.pred_cam,
            pred_joints=out.joints,
            pred_coarse=out.vertices_coarse,
            pred_mid=out.vertices_mid,
            pred_fine=out.vertices,
            **targets,
        )
        for name in TERMS:
            value = terms[name].item()
            assert value == pytest.approx(wanted[name], rel=1e-3), f'step {step}: {name}'
        optimiser.zero_grad()
        terms['total'].backward()
        if step == 0:
            norms = {name: p.grad.norm() for name, p in model.named_parameters()}
            # the names of the file are the official ones; some are grouped in our modules
            official = {name: norm.item() for name, norm in to_official(norms).items()}
            assert set(official) == set(wanted['param_grad_norms'])
            for name, norm in wanted['param_grad_norms'].items():
                assert official[name] == pytest.approx(norm, rel=0.02, abs=1e-6), name
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.3)
        assert norm.item() == pytest.approx(wanted['grad_norm'], rel=0.02)
        optimiser.step()
