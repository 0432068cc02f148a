# SPDX-License-Identifier: Apache-2.0
"""What goes into both sides: random numbers that follow from a seed, on the open body."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor

from fastmetro_mm.datasets import TSVRow
from fastmetro_mm.datasets.labels import make_label

LEVELS = (6890, 1723, 431)
LOSS_SEED, METRIC_SEED, MAP_SEED, POSE_SEED = 11, 31, 7, 5
AUGMENTATIONS = (
    dict(flip=0, noise=(1.0, 1.0, 1.0), rot=0.0, scale=1.0),
    dict(flip=1, noise=(0.8, 1.1, 1.3), rot=0.0, scale=0.9),
    dict(flip=0, noise=(1.2, 0.7, 1.0), rot=25.0, scale=1.1),
)
PREDICTIONS = ('pred_cam', 'pred_joints', 'pred_coarse', 'pred_mid', 'pred_fine')
EVERY = 16
"""Every how many of the fine vertices are kept."""
EVERY_PIXEL = 8
"""Every how many rows and columns of a crop are kept."""
_SIDE = 120


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator)


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator)


def loss_batch(size: int = 4) -> dict[str, Tensor]:
    """Labels and predictions; some labels are missing. Keywords of ``FastMETROLoss``."""
    g = torch.Generator().manual_seed(LOSS_SEED)
    fine, mid, coarse = LEVELS
    batch = dict(gt_vertices=0.3 * _normal(g, size, fine, 3))
    seen = (_uniform(g, size, 24, 1) > 0.2).float()
    batch['joints_3d'] = torch.cat((0.3 * _normal(g, size, 24, 3), seen), -1)
    seen = (_uniform(g, size, 24, 1) > 0.3).float()
    batch['joints_2d'] = torch.cat((0.5 * _normal(g, size, 24, 2), seen), -1)
    batch['has_3d'] = torch.tensor([1.0, 0.0, 1.0, 1.0])[:size]
    batch['has_smpl'] = torch.tensor([1.0, 1.0, 0.0, 1.0])[:size]
    batch['has_2d'] = torch.ones(size)
    batch['pred_cam'] = _normal(g, size, 3)
    for name, count in (('joints', 14), ('coarse', coarse), ('mid', mid), ('fine', fine)):
        batch[f'pred_{name}'] = 0.3 * _normal(g, size, count, 3)
    for name in PREDICTIONS:
        batch[name].requires_grad_()
    return batch


def metric_points() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Predicted and true joints (5, 14, 3), the first mirrored, and vertices (5, V, 3), metres."""
    g = torch.Generator().manual_seed(METRIC_SEED)
    true = 0.3 * _normal(g, 5, 14, 3)
    predicted = true + 0.05 * _normal(g, 5, 14, 3)
    predicted[0, :, 0] *= -1
    vertices = 0.3 * _normal(g, 5, LEVELS[0], 3)
    return predicted, true, vertices + 0.04 * _normal(g, 5, LEVELS[0], 3), vertices


def feature_map() -> Tensor:
    """What a backbone would give (2, 2048, 7, 7)."""
    return _normal(torch.Generator().manual_seed(MAP_SEED), 2, 2048, 7, 7)


def poses() -> tuple[Tensor, Tensor]:
    """Axis-angle poses (3, 72) and shapes (3, 10)."""
    g = torch.Generator().manual_seed(POSE_SEED)
    return 0.3 * _normal(g, 3, 72), _normal(g, 3, 10)


def rows() -> Iterator[TSVRow]:
    """Three coloured noises with random labels; the box of the last leaves the image."""
    rng = np.random.default_rng(3)
    for index in range(3):
        coarse = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        image = cv2.resize(coarse, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
        points = np.column_stack([rng.uniform(0, _SIDE, (24, 2)), rng.random(24) > 0.3])
        joints = np.column_stack([rng.normal(0, 0.4, (24, 3)), rng.random(24) > 0.3])
        center = rng.uniform(0.4, 0.6, 2) * _SIDE if index < 2 else np.array([20.0, 95.0])
        yield TSVRow(
            f'{index}.png',
            cv2.imencode('.png', image)[1].tobytes(),
            make_label(
                center,
                rng.uniform(0.3, 0.6),
                points,
                joints,
                rng.normal(0, 0.3, 72),
                rng.normal(0, 1, 10),
            ),
            (_SIDE, _SIDE),
        )
