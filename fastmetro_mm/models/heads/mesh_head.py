# SPDX-License-Identifier: Apache-2.0
"""From tokens to camera, joints and a mesh, coarse to fine."""

from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.body.mesh_body import MeshBody
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.precision import full_precision
from fastmetro_mm.models.heads.base_head import MeshHead
from fastmetro_mm.structures import MeshPrediction, TokenFeatures


@MODELS.register_module()
class FastMETROHead(MeshHead):
    """Read camera, joints and vertices off the tokens, up-sample the mesh, and judge it.

    One linear layer serves joint and vertex tokens alike. For a body, a learned linear map over
    the vertex axis goes from the coarse to the middle mesh and the fixed matrix U0 on to the full
    one; a hand has only the fixed matrix. Up-sampling works on the raw output: the rows of U do
    not sum to one, so centring first would give another mesh.

    Args:
        body: Which mesh: the estimator's :class:`MeshBody`, or ``dict(name='smpl', ...)``.
        in_channels: Width of the tokens.
        criterion: Loss, e.g. ``dict(type='FastMETROLoss')``; needed for training only. It gets
            ``body`` unless it names one itself.
        informed_start: Start the learned up-sampling at the fixed matrix U1 and the camera at
            one that sees the whole crop, instead of at random values as the official code does.
            A short training from scratch gains much by it; loaded weights replace it.
        from_rest_pose: Predict how far each coarse vertex lies from its place in the rest pose,
            upright before the camera, instead of the place itself as the official code does. A
            short training then keeps head, hands and feet whole. The rest pose is in the
            checkpoint.
        joints_from: ``'mesh'``: predicted joints are regressed from the full mesh, as in the
            official evaluation; ``'tokens'``: read from the joint tokens, which for hands works
            without the MANO file.
        init_cfg: See mmengine's ``BaseModule``.
    """

    rest_pose: Tensor | None

    def __init__(
        self,
        body: MeshBody | dict,
        in_channels: int = 128,
        criterion: dict | None = None,
        informed_start: bool = False,
        from_rest_pose: bool = False,
        joints_from: str = 'mesh',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(body, criterion, init_cfg)
        if joints_from not in ('mesh', 'tokens'):
            raise ConfigError(f"joints_from is {joints_from!r}, expected 'mesh' or 'tokens'")
        self.joints_from = joints_from
        self.xyz_regressor = nn.Linear(in_channels, 3)
        self.cam_predictor = nn.Linear(in_channels, 3)
        self.coarse2intermediate_upsample = None
        if len(self.body.num_vertices) == 3:
            _, mid, coarse = self.body.num_vertices
            self.coarse2intermediate_upsample = nn.Linear(coarse, mid)
        if informed_start:
            self._start_informed()
        # of a body without its model file it comes with the weights
        coarsest = len(self.body.num_vertices) - 1
        rest_pose = self.body.rest_pose(coarsest) if from_rest_pose else None
        self.register_buffer('rest_pose', rest_pose)

    @torch.no_grad()
    def _start_informed(self) -> None:
        self.cam_predictor.bias.copy_(torch.tensor([self.body.filling_scale, 0.0, 0.0]))
        if self.coarse2intermediate_upsample is not None:
            fixed = torch.from_numpy(self.body.assets.up[1].toarray()).float()
            self.coarse2intermediate_upsample.weight.copy_(fixed)
            nn.init.zeros_(self.coarse2intermediate_upsample.bias)

    def forward(self, tokens: TokenFeatures) -> MeshPrediction:
        """Read the prediction off the tokens.

        Args:
            tokens: Camera (B, C), joint (B, J, C) and coarse vertex tokens (B, V, C).

        Returns:
            Raw, uncentred prediction in metres.
        """
        # Half precision resolves a metre to some 4 mm: coordinates begin here and are float32,
        # whatever the tokens were computed in.
        dtype = self.xyz_regressor.weight.dtype
        with full_precision(tokens.vertices):
            coarse = self.xyz_regressor(tokens.vertices.to(dtype))  # (B, 431, 3)
            if self.rest_pose is not None:
                coarse = coarse + self.rest_pose
            mid: Any = None
            finest_known = coarse
            if self.coarse2intermediate_upsample is not None:
                mid = self.coarse2intermediate_upsample(coarse.transpose(1, 2)).transpose(1, 2)
                finest_known = mid  # (B, 1723, 3)
            return MeshPrediction(
                pred_cam=self.cam_predictor(tokens.cam_token.to(dtype)),
                joints=self.xyz_regressor(tokens.joints.to(dtype)),
                vertices_coarse=coarse,
                vertices_mid=mid,
                vertices=self.body.sampling.up(finest_known, 1, 0),
            )

    def centre(self, prediction: MeshPrediction) -> tuple[Tensor, Tensor]:
        """Put the origin at the pelvis (hands: wrist); joints as ``joints_from`` says."""
        if self.joints_from == 'mesh':
            return self.body.centre(prediction.vertices)
        return self.body.centre_with_tokens(prediction.vertices, prediction.joints.float())
