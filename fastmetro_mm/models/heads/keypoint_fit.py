# SPDX-License-Identifier: Apache-2.0
"""Turn the bones of a predicted body a little, so that it lies on the key points."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.body.joint_regression import JointRegressor, joint_regressor_matrix
from fastmetro_mm.body.joint_sets import J24, SMPL24, index_map
from fastmetro_mm.body.mesh_body import MeshBody
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat

# Each COCO key point by the name of our label, and the joint of the skeleton whose bone carries it.
_CARRIERS: Mapping[str, str] = {
    'Nose': 'Head', 'L_Eye': 'Head', 'R_Eye': 'Head', 'L_Ear': 'Head', 'R_Ear': 'Head',
    'L_Shoulder': 'L_Collar', 'R_Shoulder': 'R_Collar',
    'L_Elbow': 'L_Shoulder', 'R_Elbow': 'R_Shoulder', 'L_Wrist': 'L_Elbow', 'R_Wrist': 'R_Elbow',
    'L_Hip': 'Pelvis', 'R_Hip': 'Pelvis', 'L_Knee': 'L_Hip', 'R_Knee': 'R_Hip',
    'L_Ankle': 'L_Knee', 'R_Ankle': 'R_Knee',
}  # fmt: skip
COCO17 = tuple(_CARRIERS)
# How unwillingly bones turn, against a well seen key point (weight 1) of a crop of [-1, 1]; limbs
# turn easily, the trunk hardly, what carries no key point not at all.
_STIFFNESS = {'Pelvis': 0.05, 'Spine1': 0.1, 'Spine2': 0.1, 'Spine3': 0.1, 'Neck': 0.1,
              'Head': 0.05, 'L_Collar': 0.1, 'R_Collar': 0.1}  # fmt: skip
_LIMB_STIFFNESS, _IDLE_STIFFNESS, _CAMERA_STIFFNESS = 0.02, 1e3, 1e-3
_DOUBT = 0.25
"""Distance on the crop at which a key point has lost three quarters of its say: it may be wrong."""


class KeypointFit(nn.Module):
    """A few Gauss-Newton steps on rotations and camera.

    Each bone turns by a small rotation of its own; the places of key points are linear in these
    and in the camera, so that a step is one small linear system for each person (SMPLify, Bogo et
    al., ECCV 2016, with the network's answer in place of pose priors).

    Args:
        body: A body whose model file is there.

    Raises:
        ConfigError: If ``body`` is a hand.
    """

    after: Tensor
    moves: Tensor
    damping: Tensor

    def __init__(self, body: MeshBody) -> None:
        super().__init__()
        if body.joint_set != 'j14':
            raise ConfigError(f"body '{body.name}' is a hand; KeypointFit is for bodies")
        arrays = load_model_arrays(body.name, body.assets.root, body.gender)
        labels = joint_regressor_matrix(body.assets, 'j24', arrays)
        self.regressor = JointRegressor(labels[list(index_map(COCO17, J24))])
        parents: Any = body.require_model().parents
        chains = [_chain(parents, SMPL24.index(carrier)) for carrier in _CARRIERS.values()]
        # next joint on the way from a bone to a key point; the key point itself is number 24 + k
        after = np.zeros((len(COCO17), len(SMPL24)), np.int64)
        moves = np.zeros((len(COCO17), len(SMPL24)), bool)
        for place, chain in enumerate(chains):
            for bone, following in zip(chain, [*chain[1:], len(SMPL24) + place], strict=True):
                after[place, bone], moves[place, bone] = following, True
        stiff = [_STIFFNESS.get(name, _LIMB_STIFFNESS) for name in SMPL24]
        stiff = np.where(moves.any(0), stiff, _IDLE_STIFFNESS).repeat(3)
        damping = np.concatenate([stiff, [_CAMERA_STIFFNESS] * 3])
        self.register_buffer('after', torch.from_numpy(after), persistent=False)
        self.register_buffer('moves', torch.from_numpy(moves), persistent=False)
        self.register_buffer('damping', torch.from_numpy(damping).float(), persistent=False)

    def step(
        self,
        turned: Tensor,
        pred_cam: Tensor,
        joints: Tensor,
        vertices: Tensor,
        keypoints: Tensor,
        so_far: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step.

        Args:
            turned: Rotations against the camera. (B, 24, 3, 3)
            pred_cam: Weak perspective (s, tx, ty). (B, 3)
            joints: Of the skeleton, in the frame of the vertices. (B, 24, 3)
            vertices: Of these rotations, on the root, metres. (B, V, 3)
            keypoints: x and y on the crop in [-1, 1] and a score. (B, 17, 3)
            so_far: What earlier steps have changed in all, zeros at first. (B, 75)

        Returns:
            New rotations, new ``pred_cam``, and the change in all.
        """
        points = self.regressor(vertices)
        scale, shift = pred_cam[:, None, :1], pred_cam[:, None, 1:] * pred_cam[:, None, :1]
        off = keypoints[..., :2] - (scale * points[..., :2] + shift)  # (B, K, 2)
        everything = torch.cat((joints, points), dim=1)
        limbs = everything[:, self.after] - joints[:, None]  # (B, K, 24, 3)
        limbs = torch.where(self.moves[..., None], limbs, 0.0) * scale[..., None]
        x, y, z = limbs.unbind(-1)
        none = torch.zeros_like(x)
        # d(turn x limb): rows of x and y, columns of the turn's three numbers
        by_turn = torch.stack(
            (torch.stack((none, z, -y), -1), torch.stack((-z, none, x), -1)), dim=2
        ).flatten(3)  # (B, K, 2, 72)
        ones = torch.ones_like(off[..., :1])
        zeros = torch.zeros_like(ones)
        by_pred_cam = torch.stack(
            (
                torch.cat((points[..., :1], ones, zeros), -1),
                torch.cat((points[..., 1:2], zeros, ones), -1),
            ),
            dim=2,
        )  # (B, K, 2, 3)
        jacobian = torch.cat((by_turn, by_pred_cam), -1).flatten(1, 2)  # (B, 2K, 75)
        sure = (1 + (off / _DOUBT).square().sum(-1)).pow(-2)
        weight = (keypoints[..., 2].square() * sure).repeat_interleave(2, dim=1)
        weighted = jacobian * weight[..., None]
        matrix = weighted.mT @ jacobian + torch.diag(self.damping)
        right = (weighted * off.flatten(1)[..., None]).sum(1) - self.damping * so_far
        # damped, so there is a solution; `solve` would wait for the device to ask
        change, _ = torch.linalg.solve_ex(matrix, right)
        turn = axis_angle_to_rotmat(change[:, :-3].unflatten(1, (-1, 3)))
        scale = (pred_cam[:, :1] + change[:, -3:-2]).clamp(min=0.1)
        shift = shift[:, 0] + change[:, -2:]
        return turn @ turned, torch.cat((scale, shift / scale), 1), so_far + change


def _chain(parents: Sequence[int], joint: int) -> list[int]:
    """Bones from the root to a joint."""
    chain = [joint]
    while chain[0] != 0:
        chain.insert(0, parents[chain[0]])
    return chain
