# SPDX-License-Identifier: Apache-2.0
"""Collects the labels of a batch and the meshes they stand for."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model, load_model_arrays
from fastmetro_mm.body.joint_sets import MANO_FINGERTIPS, MANO_TIPS_TO_HAND21
from fastmetro_mm.structures import LABELS, MeshDataSample, MeshTargets


class TargetBuilder(BaseModule):
    """Collect labels and pose the body model with them.

    The body model is built when it is first needed, because only training and evaluation need
    its file: a network for SMPL meshes runs without the licensed SMPL file.

    Args:
        body: Which body: ``dict(name='smpl', body_data_root=...)``.
    """

    def __init__(self, body: dict) -> None:
        super().__init__()
        self.body = dict(body)
        self.body_model = None
        self.fingertips = None

    def require_body_model(self) -> torch.nn.Module:
        """Build the body model now; a missing file then fails before any work is done.

        Raises:
            FileNotFoundError: If the model file is missing; the message says where to put it.
        """
        if self.body_model is None:
            self.body_model = build_body_model(**self.body)
            if load_body_assets(**self.body).is_hand:
                arrays = load_model_arrays(**self.body)
                self.fingertips = list(arrays.get('fingertip_ids', MANO_FINGERTIPS))
        return self.body_model

    @torch.no_grad()
    def forward(self, data_samples: Sequence[MeshDataSample], device: torch.device) -> MeshTargets:
        """Collect the labels of a batch.

        Args:
            data_samples: Samples with ``gt_instance_labels``.
            device: Where the targets go.

        Returns:
            The targets; meshes of samples without a label are meshes of zeros as pose and shape.
        """
        labels = {
            name: torch.cat([sample.gt_instance_labels[name] for sample in data_samples])
            .to(device, non_blocking=True)
            .float()
            for name in LABELS
        }
        model = self.require_body_model().to(device)
        with torch.autocast(device.type, enabled=False):
            posed = model(labels['pose'], labels['betas'])
        joints = posed.joints
        if self.fingertips is not None:
            tips = posed.vertices[:, self.fingertips]
            joints = torch.cat((joints, tips), dim=1)[:, MANO_TIPS_TO_HAND21]
        return MeshTargets(**labels, vertices=posed.vertices, joints=joints)
