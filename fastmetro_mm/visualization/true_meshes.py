# SPDX-License-Identifier: Apache-2.0
"""True meshes of labelled samples, posed by the body model of a network."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import InstanceData

from fastmetro_mm.structures import MeshDataSample


def add_true_meshes(model: Any, samples: Sequence[MeshDataSample]) -> None:
    """Pose the body model with the labels of those samples that have pose and shape.

    Args:
        model: Network with ``body`` and ``build_targets`` (``TopdownMeshEstimator``); nothing
            happens for another one.
        samples: Changed in place: ``gt_instances.vertices`` (1, V, 3), metres, centred on the
            pelvis (hands: wrist), where there is none yet.

    Raises:
        FileNotFoundError: If the body file is missing.
    """
    labelled = [
        sample
        for sample in samples
        if 'gt_instance_labels' in sample
        and float(sample.gt_instance_labels.get('has_smpl', torch.zeros(1))[0]) > 0
        and 'vertices' not in sample.get('gt_instances', {})
    ]
    if not (labelled and hasattr(model, 'build_targets')):
        return
    targets = model.build_targets(labelled, next(model.parameters()).device)
    vertices, _ = model.body.centre(targets.vertices, targets.joints)
    for sample, mesh in zip(labelled, vertices.detach().cpu().numpy(), strict=True):
        if 'gt_instances' not in sample:
            sample.gt_instances = InstanceData()
        sample.gt_instances.vertices = mesh[None]
