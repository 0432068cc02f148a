# SPDX-License-Identifier: Apache-2.0
"""Data samples with made-up predictions, the same in every process."""

import numpy as np


def body_sample(index: int, with_index: bool = True) -> dict:
    """A body: every third one has no 3D joints, every fourth no mesh."""
    generator = np.random.default_rng(100 + index)
    joints = np.zeros((24, 4), np.float32)
    joints[:, :3] = 0.3 * generator.normal(size=(24, 3))
    vertices = (0.3 * generator.normal(size=(6890, 3))).astype(np.float32)
    order = [*range(13), 18]
    sample = dict(
        img_key=f'{index:08d}.jpg',
        gt_instance_labels=dict(
            joints_3d=joints[None],
            vertices=vertices[None],
            has_3d=np.array([float(index % 3 != 0)], np.float32),
            has_smpl=np.array([float(index % 4 != 0)], np.float32),
        ),
        pred_instances=dict(
            joints_3d=(joints[order, :3] + 0.05 * generator.normal(size=(14, 3)))[None],
            vertices=(vertices + 0.05 * generator.normal(size=(6890, 3)))[None],
        ),
    )
    if with_index:
        sample['sample_idx'] = index
    return sample


def hand_sample(index: int, with_index: bool = True) -> dict:
    """A hand with labels, centred on the wrist."""
    generator = np.random.default_rng(200 + index)
    joints = np.ones((21, 4))
    joints[:, :3] = 0.05 * generator.normal(size=(21, 3))
    joints[:, :3] -= joints[0, :3]
    vertices = 0.05 * generator.normal(size=(778, 3))
    sample = dict(
        img_key=f'{index:08d}.jpg',
        gt_instance_labels=dict(
            joints_3d=joints[None], vertices=vertices[None], has_3d=np.ones(1), has_smpl=np.ones(1)
        ),
        pred_instances=dict(
            joints_3d=(joints[:, :3] + 0.01 * generator.normal(size=(21, 3)))[None],
            vertices=(vertices + 0.01 * generator.normal(size=(778, 3)))[None],
        ),
    )
    if with_index:
        sample['sample_idx'] = index
    return sample
