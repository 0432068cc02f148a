# SPDX-License-Identifier: Apache-2.0
"""Collects the labels of a batch and the meshes they stand for."""

from collections.abc import Sequence

import torch

from fastmetro_mm.body.mesh_body import MeshBody
from fastmetro_mm.errors import DataRowError
from fastmetro_mm.structures import LABELS, MeshDataSample, MeshTargets


@torch.no_grad()
def build_targets(
    body: MeshBody, data_samples: Sequence[MeshDataSample], device: torch.device
) -> MeshTargets:
    """Collect the labels of a batch and pose the body with them.

    Args:
        body: Body of the labels, on ``device``.
        data_samples: Samples with ``gt_instance_labels``.
        device: Where the targets go.

    Returns:
        The targets; meshes of samples without a label are meshes of zeros as pose and shape.

    Raises:
        DataRowError: If samples have no labels, as those of an own data set may.
        MissingBodyFileError: If the model file of the body is missing.
    """
    for sample in data_samples:
        lacks = set(LABELS) - set(sample.get('gt_instance_labels', {}).keys())
        if lacks:
            raise DataRowError(
                f'{sample.get("img_path") or sample.get("img_key") or "a sample"} has no '
                f'{", ".join(sorted(lacks))}: training needs {", ".join(LABELS)} of every sample '
                '(docs/extending.md, own data set); has_smpl, has_2d and has_3d of 0 switch labels '
                'off'
            )
    labels = {
        name: torch.cat([sample.gt_instance_labels[name] for sample in data_samples])
        .to(device, non_blocking=True)
        .float()
        for name in LABELS
    }
    with torch.autocast(device.type, enabled=False):
        posed = body.pose(labels['pose'], labels['betas'])
    return MeshTargets(**labels, vertices=posed.vertices, joints=posed.joints)
