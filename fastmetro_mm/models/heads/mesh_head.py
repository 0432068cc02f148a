# SPDX-License-Identifier: Apache-2.0
"""From tokens to camera, joints and a mesh, coarse to fine."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.body.mesh_body import MeshBody, build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.camera import crop_to_image, weak_perspective_project
from fastmetro_mm.geometry.precision import full_precision
from fastmetro_mm.structures import MeshDataSample, MeshPrediction, MeshTargets, TokenFeatures


@MODELS.register_module()
class FastMETROHead(BaseModule):
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
        joints_from: ``'mesh'``: predicted joints are regressed from the full mesh, as in the
            official evaluation; ``'tokens'``: read from the joint tokens, which for hands works
            without the MANO file.
        init_cfg: See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        body: MeshBody | dict,
        in_channels: int = 128,
        criterion: dict | None = None,
        informed_start: bool = False,
        joints_from: str = 'mesh',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if joints_from not in ('mesh', 'tokens'):
            raise ConfigError(f"joints_from is {joints_from!r}, expected 'mesh' or 'tokens'")
        self.body = build_body(body)
        self.joints_from = joints_from
        self.xyz_regressor = nn.Linear(in_channels, 3)
        self.cam_predictor = nn.Linear(in_channels, 3)
        self.coarse2intermediate_upsample = None
        if len(self.body.num_vertices) == 3:
            _, mid, coarse = self.body.num_vertices
            self.coarse2intermediate_upsample = nn.Linear(coarse, mid)
        if informed_start:
            self._start_informed()
        self.criterion = None
        if criterion is not None:
            self.criterion = MODELS.build({'body': self.body, **criterion})

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
            mid = None
            finest_known = coarse
            if self.coarse2intermediate_upsample is not None:
                mid = self.coarse2intermediate_upsample(coarse.transpose(1, 2)).transpose(1, 2)
                finest_known = mid  # (B, 1723, 3)
            return MeshPrediction(
                camera=self.cam_predictor(tokens.camera.to(dtype)),
                joints=self.xyz_regressor(tokens.joints.to(dtype)),
                vertices_coarse=coarse,
                vertices_mid=mid,
                vertices=self.body.sampling.up(finest_known, 1, 0),
            )

    def loss(self, prediction: MeshPrediction, targets: MeshTargets) -> dict[str, Tensor]:
        """Judge a prediction.

        Args:
            prediction: Raw prediction.
            targets: Labels of the same batch.

        Returns:
            ``loss_mesh``, the weighted total, and every unweighted term for the log.

        Raises:
            ConfigError: If the head was built without a criterion.
            MissingBodyFileError: If the joints of a hand need its model file, which is missing.
        """
        if self.criterion is None:
            raise ConfigError(
                'FastMETROHead has no criterion: set '
                "model.head.criterion=dict(type='FastMETROLoss')"
            )
        terms = self.criterion(prediction, targets)
        total = terms.pop('total')
        return {'loss_mesh': total, **{name: term.detach() for name, term in terms.items()}}

    def predict(
        self, prediction: MeshPrediction, data_samples: Sequence[MeshDataSample]
    ) -> list[InstanceData]:
        """Centre the mesh, regress its joints and project them into the image.

        Args:
            prediction: Raw prediction of a batch.
            data_samples: Its samples; ``crop_to_image`` and ``input_size`` of their metainfo are
                used.

        Returns:
            One ``InstanceData`` of numpy arrays a sample: ``vertices joints_3d camera keypoints
            keypoint_scores`` (see :class:`MeshDataSample`).
        """
        vertices, joints = self.centre(prediction)
        camera = prediction.camera.float()
        on_crop = weak_perspective_project(joints, camera)  # (B, J, 2) in [-1, 1]

        known = [sample.metainfo for sample in data_samples]
        sizes, to_image = (
            np.array([one[name] for one in known], dtype=np.float64)
            for name in ('input_size', 'crop_to_image')
        )
        pixels = (on_crop.cpu().numpy() + 1) * 0.5 * sizes[:, None]
        batch = dict(
            vertices=vertices.cpu().numpy(),
            joints_3d=joints.cpu().numpy(),
            camera=camera.cpu().numpy(),
            keypoints=crop_to_image(pixels, to_image).astype(np.float32),
            keypoint_scores=np.ones(joints.shape[:2], dtype=np.float32),
        )
        # Samples get views: nothing is copied one by one. `set_field` because assignment compares
        # the lengths of all fields every time, which takes longer than all of the above.
        instances = [InstanceData() for _ in data_samples]
        for index, instance in enumerate(instances):
            for name, array in batch.items():
                instance.set_field(array[index : index + 1], name)
        return instances

    def centre(self, prediction: MeshPrediction) -> tuple[Tensor, Tensor]:
        """Put the origin at the pelvis (hands: wrist) and give the joints in that frame.

        Args:
            prediction: Raw prediction.

        Returns:
            Vertices (B, V, 3) and joints (B, 14, 3); hands (B, 21, 3), metres.
        """
        if self.joints_from == 'mesh':
            return self.body.centre(prediction.vertices)
        return self.body.centre_with_tokens(prediction.vertices, prediction.joints.float())
