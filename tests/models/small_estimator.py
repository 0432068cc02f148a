# SPDX-License-Identifier: Apache-2.0
"""A small estimator on the open body, its samples and crops."""

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS

from fastmetro_mm.structures import MeshDataSample

SIZE = 64


def config(body: str = 'open_body', **changes) -> dict:
    hand = body == 'open_hand'
    criterion = dict(type='HandMeshLoss' if hand else 'FastMETROLoss')
    cfg = dict(
        type='TopdownMeshEstimator',
        body=dict(name=body),
        backbone=dict(type='ResNet', depth=18),
        neck=dict(
            type='FastMETRONeck',
            in_channels=512,
            num_joints=21 if hand else 14,
            embed_dims=(32, 16),
            feedforward_dims=(64, 32),
            num_layers=1,
            num_heads=2,
            feature_size=(2, 2),
        ),
        head=dict(type='FastMETROHead', in_channels=16, criterion=criterion),
    )
    cfg.update(changes)
    return cfg


def build(**kwargs) -> torch.nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(config(**kwargs))
    model.init_weights()
    return model


def sample(hand: bool = False, seed: int = 0) -> MeshDataSample:
    rng = np.random.default_rng(seed)
    joints, numbers = (21, 48) if hand else (24, 72)
    out = MeshDataSample()
    out.gt_instances = InstanceData(
        bboxes=np.array([[10, 20, 110, 120]], np.float32), bbox_scores=np.ones(1, np.float32)
    )
    labels = InstanceData()
    labels.joints_2d = torch.tensor(rng.normal(size=(1, joints, 3)) * 0.3, dtype=torch.float32)
    labels.joints_3d = torch.tensor(rng.normal(size=(1, joints, 4)) * 0.3, dtype=torch.float32)
    labels.joints_2d[..., 2] = labels.joints_3d[..., 3] = 1
    labels.pose = torch.tensor(rng.normal(size=(1, numbers)) * 0.2, dtype=torch.float32)
    labels.betas = torch.zeros(1, 10)
    for name in ('has_smpl', 'has_2d', 'has_3d'):
        labels[name] = torch.ones(1)
    out.gt_instance_labels = labels
    out.set_metainfo(
        dict(input_size=(SIZE, SIZE), crop_to_image=np.array([[2, 0, 10], [0, 2, 20]], np.float32))
    )
    return out


def crops(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
