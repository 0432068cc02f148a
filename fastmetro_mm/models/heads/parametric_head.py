# SPDX-License-Identifier: Apache-2.0
"""A whole mesh from joint tokens: rotations and shape, posed by the body's own skinning."""

from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.body.mesh_body import MeshBody
from fastmetro_mm.geometry.precision import full_precision
from fastmetro_mm.geometry.rotation import local_rotations, rotation_6d_to_rotmat
from fastmetro_mm.models.heads.base_head import MeshHead
from fastmetro_mm.models.heads.joint_confidence import JointConfidence
from fastmetro_mm.models.heads.keypoint_fit import KeypointFit
from fastmetro_mm.structures import MeshPrediction, TokenFeatures

NUM_BETAS = 10
# An upright body that faces the camera: y and z point the other way in camera axes.
_FACING = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


@MODELS.register_module()
class ParametricMeshHead(MeshHead):
    """Read rotations, shape and camera off the tokens and pose the body with them.

    Vertices read off tokens are torn where a training was short; a posed body is whole whatever
    the tokens say, and its rotations and shape go into rigged files. Every joint token gives the
    rotation of its joint against the camera, which is what an image shows, so that errors do not
    add up along a limb; the rotation against the parent follows from both.

    Args:
        body: Which mesh: the estimator's :class:`MeshBody`, or ``dict(name='open_body')``. Its
            model file is needed.
        in_channels: Width of the tokens.
        criterion: Loss, e.g. ``dict(type='ParametricBodyLoss')``; needed for training only.
        fit_steps: Steps of :class:`KeypointFit` in evaluation mode, for a neck that hands on key
            points: bones turn a little so that the body lies on them. 0: none.
        confidence: Arguments of :class:`JointConfidence`, for a neck that hands on COCO's key
            points: predictions say how likely each joint is right. None: they do not.
        init_cfg: See mmengine's ``BaseModule``.
    """

    parents: Tensor

    def __init__(
        self,
        body: MeshBody | dict,
        in_channels: int = 128,
        criterion: dict | None = None,
        fit_steps: int = 0,
        confidence: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(body, criterion, init_cfg)
        model: Any = self.body.require_model()
        count = self.num_joints = len(model.parents)
        parents = torch.tensor([0, *model.parents[1:]])  # the root is its own
        self.register_buffer('parents', parents, persistent=False)
        self.rotation_weight = nn.Parameter(0.02 * torch.randn(count, in_channels, 6))
        self.rotation_bias = nn.Parameter(torch.tensor(_FACING).repeat(count, 1))
        self.shape_predictor = nn.Linear(in_channels, NUM_BETAS)
        self.cam_predictor = nn.Linear(in_channels, 3)
        for layer in (self.shape_predictor, self.cam_predictor):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.fit_steps = fit_steps
        self.fit = KeypointFit(self.body) if fit_steps else None
        self.never_waits = not fit_steps  # its linear system is solved by a library that may
        self.confidence = JointConfidence(**confidence) if confidence else None
        with torch.no_grad():
            self.cam_predictor.bias[0] = self.body.filling_scale

    def forward(self, tokens: TokenFeatures) -> MeshPrediction:
        """Read the parameters off the tokens and pose the body.

        Args:
            tokens: Camera (B, C) and joint tokens (B, J, C).

        Returns:
            The prediction with ``rotmat`` and ``betas``, metres, on the root.
        """
        with full_precision(tokens.joints):
            turned, betas, pred_cam = self.read(tokens)
            confidence = None
            if self.confidence is not None and tokens.keypoints is not None:
                confidence = self.confidence(tokens.keypoints)
            if self.fit is not None and not self.training and tokens.keypoints is not None:
                turned, pred_cam = self._fit(turned, betas, pred_cam, tokens.keypoints)
            rotmat = local_rotations(turned, self.parents)
            vertices, joints = self.body.centre(self.body.pose(rotmat, betas).vertices)
            sampling, levels = self.body.sampling, len(self.body.num_vertices)
            mid: Any = sampling.down(vertices, 0, 1) if levels == 3 else None
            return MeshPrediction(
                pred_cam=pred_cam,
                joints=joints,
                vertices_coarse=sampling.down(vertices, 0, levels - 1),
                vertices_mid=mid,
                vertices=vertices,
                rotmat=rotmat,
                betas=betas,
                joint_confidence=confidence,
            )

    def read(self, tokens: TokenFeatures) -> tuple[Tensor, Tensor, Tensor]:
        """The parameters alone, for a training that poses fewer vertices.

        Args:
            tokens: Camera (B, C) and joint tokens (B, J, C).

        Returns:
            Rotations against the camera (B, J, 3, 3), betas (B, 10) and ``pred_cam`` (B, 3).
        """
        dtype = self.rotation_weight.dtype
        joints, token = tokens.joints.to(dtype), tokens.cam_token.to(dtype)
        six = torch.einsum('bjc,jco->bjo', joints, self.rotation_weight) + self.rotation_bias
        return rotation_6d_to_rotmat(six), self.shape_predictor(token), self.cam_predictor(token)

    def _fit(
        self, turned: Tensor, betas: Tensor, pred_cam: Tensor, keypoints: Tensor
    ) -> tuple[Tensor, Tensor]:
        assert self.fit is not None
        so_far = turned.new_zeros(len(turned), 3 * self.num_joints + 3)
        for _ in range(self.fit_steps):
            posed = self.body.pose(local_rotations(turned, self.parents), betas)
            root, _ = self.body.root_and_joints(posed.vertices)
            turned, pred_cam, so_far = self.fit.step(
                turned, pred_cam, posed.joints - root, posed.vertices - root,
                keypoints.to(turned.dtype), so_far,
            )  # fmt: skip
        return turned, pred_cam

    def centre(self, prediction: MeshPrediction) -> tuple[Tensor, Tensor]:
        """The mesh and its joints, which are on their root already."""
        return prediction.vertices, prediction.joints
