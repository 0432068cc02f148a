# SPDX-License-Identifier: Apache-2.0
"""What a predictor that never looks at the image would score: the bar every network must clear."""

from collections.abc import Iterable

import numpy as np

from fastmetro_mm.body.joint_sets import J24_TO_J14
from fastmetro_mm.errors import DataSetError
from fastmetro_mm.geometry.alignment import similarity_align


def collect_joints(dataset: Iterable) -> np.ndarray:
    """Joints of all samples with 3D labels.

    Args:
        dataset: Samples as the data set gives them before packing, or packed ones.

    Returns:
        J14 joints, metres, centred on the pelvis. (N, 14, 3)

    Raises:
        ValueError: If no sample has 3D labels.
    """
    joints = []
    for sample in dataset:
        labels = sample['data_samples'].gt_instance_labels if 'data_samples' in sample else sample
        if float(np.asarray(labels['has_3d']).reshape(-1)[0]) > 0:
            label = np.asarray(labels['joints_3d'], dtype=np.float64).reshape(-1, 4)
            joints.append(label[list(J24_TO_J14), :3])
    if not joints:
        raise DataSetError('no sample of the data set has 3D joints: there is nothing to average')
    return np.stack(joints)


def mean_pose(joints: np.ndarray, iterations: int = 5) -> np.ndarray:
    """The constant pose that fits a set best after alignment (generalised Procrustes mean).

    Args:
        joints: (N, 14, 3) metres.
        iterations: Rounds of aligning all poses to the mean and averaging again.

    Returns:
        (14, 3) metres, of the average size of the set.
    """
    mean = joints[0]
    size = np.linalg.norm(joints - joints.mean(axis=1, keepdims=True), axis=(1, 2)).mean()
    for _ in range(iterations):
        aligned = similarity_align(joints, np.broadcast_to(mean, joints.shape).copy())
        mean = aligned.mean(axis=0)
        centred = mean - mean.mean(axis=0)
        mean = centred * size / np.linalg.norm(centred)
    return mean
