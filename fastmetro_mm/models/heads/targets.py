# SPDX-License-Identifier: Apache-2.0
"""Collects the labels of a batch and the meshes they stand for."""

from collections.abc import Sequence

import torch

from fastmetro_mm.body.mesh_body import MeshBody
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
        MissingBodyFileError: If the model file of the body is missing.
    """
    labels = {
        name: torch.cat([sample.gt_instance_labels[name] for sample in data_samples])
        .to(device, non_blocking=True)
        .float()
        for name in LABELS
    }
    with torch.autocast(device.type, enabled=False):
        posed = body.pose(labels['pose'], labels['betas'])
    return MeshTargets(**labels, vertices=posed.vertices, joints=posed.joints)
