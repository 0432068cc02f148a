# SPDX-License-Identifier: Apache-2.0
"""Training targets: labels of a batch as tensors, and the meshes they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.model import BaseModule
from torch import Tensor

from ...body_models.assets import load_body_assets
from ...body_models.build import build_body_model, load_model_arrays
from ...body_models.joint_sets import MANO_FINGERTIPS, MANO_TIPS_TO_HAND21
from ...structures import MeshDataSample

LABELS = ('joints_2d', 'joints_3d', 'pose', 'betas', 'has_smpl', 'has_2d', 'has_3d')


@dataclass
class MeshTargets:
    """Labels of a batch.

    Attributes:
        joints_2d: On the crop in [-1, 1], with confidence. (B, 24, 3); hands (B, 21, 3)
        joints_3d: Metres, centred on the pelvis (wrist), with confidence. (B, 24, 4); (B, 21, 4)
        pose: Axis-angles, radians, global orientation first, camera axes. (B, 72); (B, 48)
        betas: Shape. (B, 10)
        has_smpl: 1 where pose and betas are labels. (B,)
        has_2d: 1 where 2D joints are labels. (B,)
        has_3d: 1 where 3D joints are labels. (B,)
        vertices: Mesh of pose and betas, metres, as the body model gives it. (B, V, 3)
        joints: Joints of that mesh: of the skeleton (B, 24, 3); hands with the fingertips, in
            the order of the labels (B, 21, 3)
    """

    joints_2d: Tensor
    joints_3d: Tensor
    pose: Tensor
    betas: Tensor
    has_smpl: Tensor
    has_2d: Tensor
    has_3d: Tensor
    vertices: Tensor
    joints: Tensor


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
