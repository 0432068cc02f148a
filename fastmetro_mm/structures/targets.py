# SPDX-License-Identifier: Apache-2.0
"""Training targets of a batch."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

LABELS = ('joints_2d', 'joints_3d', 'pose', 'betas', 'has_smpl', 'has_2d', 'has_3d')


_NOT_GIVEN: Any = None  # a criterion knows which labels it is given


@dataclass
class MeshTargets:
    """Labels of a batch; those that a criterion does not ask for may be None.

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
    has_smpl: Tensor
    vertices: Tensor
    joints_3d: Tensor = _NOT_GIVEN
    pose: Tensor = _NOT_GIVEN
    betas: Tensor = _NOT_GIVEN
    has_2d: Tensor = _NOT_GIVEN
    has_3d: Tensor = _NOT_GIVEN
    joints: Tensor = _NOT_GIVEN
