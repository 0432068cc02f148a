# SPDX-License-Identifier: Apache-2.0
"""What is known about bodies before a image: which poses are usual, how far joints bend."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fastmetro_mm.body.joint_sets import SMPL24
from fastmetro_mm.geometry.rotation import rotmat_to_axis_angle
from fastmetro_mm.synthetic.anatomy import LIMITS
from fastmetro_mm.synthetic.pose_library import load_pose_library

_UNSEEN = ('L_Foot', 'R_Foot', 'L_Wrist', 'R_Wrist', 'L_Hand', 'R_Hand')
"""Joints that move no key point: they stay as the network left them."""
FITTED = tuple(SMPL24.index(name) for name in SMPL24[1:] if name not in _UNSEEN)
_SPREAD_FLOOR = 0.05
"""Added to the spread of every number, radians: no pose of the library is the only one allowed."""


@dataclass(frozen=True)
class PosePrior:
    """A normal distribution of the rotation vectors of the joints in :data:`FITTED`.

    Attributes:
        mean: (3 J,) radians.
        precision: (3 J, 3 J) inverse of the covariance.
    """

    mean: Tensor
    precision: Tensor

    @classmethod
    def of_poses(cls, poses: Tensor) -> 'PosePrior':
        """The distribution of (N, 24, 3) axis-angle poses."""
        numbers = poses[:, list(FITTED)].flatten(1).double()
        spread = torch.cov(numbers.T) + _SPREAD_FLOOR**2 * torch.eye(numbers.shape[1])
        return cls(numbers.mean(0).float(), torch.linalg.inv(spread).float())

    @classmethod
    def of_library(cls) -> 'PosePrior':
        """The distribution of the real motions that come with the package, and their mirrors."""
        poses = torch.from_numpy(load_pose_library().poses).float()
        return cls.of_poses(torch.cat((poses, mirrored(poses))))

    def __call__(self, rotmat: Tensor) -> Tensor:
        """Squared Mahalanobis distance over the number of angles: about 1 for usual poses.

        Args:
            rotmat: Rotations against the parent. (B, 24, 3, 3)

        Returns:
            (B,)
        """
        off = rotmat_to_axis_angle(rotmat[:, list(FITTED)]).flatten(1) - self.mean
        return ((off @ self.precision) * off).sum(1) / off.shape[1]


def mirrored(poses: Tensor) -> Tensor:
    """Left and right exchanged: poses (N, 24, 3) seen in the mirror x -> -x."""
    other = [
        SMPL24.index({'L': 'R', 'R': 'L'}[name[0]] + name[1:]) if name[1] == '_' else index
        for index, name in enumerate(SMPL24)
    ]
    return poses[:, other] * poses.new_tensor([1.0, -1.0, -1.0])


def beyond_limits(rotmat: Tensor) -> Tensor:
    """How far knees and elbows bend the wrong way or are twisted, squared radians.

    The angles and their limits are those of ``fastmetro_mm.synthetic.anatomy``: a knee is a bend
    about x, then a twist about y; an elbow a bend about -y (right: y), then a roll about x.

    Args:
        rotmat: Rotations against the parent. (B, 24, 3, 3)

    Returns:
        (B,)
    """
    total = rotmat.new_zeros(len(rotmat))
    for side, sign in (('L', 1.0), ('R', -1.0)):
        knee = rotmat[:, SMPL24.index(f'{side}_Knee')]
        elbow = rotmat[:, SMPL24.index(f'{side}_Elbow')]
        angles = {
            'knee_flex': torch.atan2(knee[:, 2, 1], knee[:, 1, 1]),
            'knee_twist': sign * torch.atan2(knee[:, 0, 2], knee[:, 0, 0]),
            'elbow_flex': sign * torch.atan2(elbow[:, 2, 0], elbow[:, 0, 0]),
        }
        for name, angle in angles.items():
            low, high = LIMITS[f'{side.lower()}_{name}']
            total = total + (low - angle).clamp(min=0).square()
            total = total + (angle - high).clamp(min=0).square()
    return total
