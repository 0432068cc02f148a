# SPDX-License-Identifier: Apache-2.0
"""The hand that a network predicts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.body.joint_regression import joint_regressor_matrix
from fastmetro_mm.body.joint_sets import HAND21, HAND21_WRIST, MANO_FINGERTIPS, MANO_TIPS_TO_HAND21
from fastmetro_mm.body.skinning import BodyModelOutput
from fastmetro_mm.body.whole_body import MeshBody


class HandBody(MeshBody):
    """A right hand: MANO, or the open hand, which has its layout.

    Its joints are regressed by rows of the model file: without that file there are meshes, and
    joints from the joint tokens only.
    """

    fingertips: Tensor
    to_labels: Tensor
    joint_set = 'hand21'
    joint_names = HAND21
    label_names = HAND21
    token_root = (HAND21_WRIST,)
    labels_to_joints = tuple(range(len(HAND21)))
    filling_scale = 8.0  # 25 cm of crop

    def root_and_joints(
        self, vertices: Tensor, posed_joints: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As for a body; the joints of a posed hand are those of its skeleton."""
        if posed_joints is None:
            return super().root_and_joints(vertices)
        return posed_joints[:, HAND21_WRIST : HAND21_WRIST + 1], posed_joints

    def score_origin(self, vertices: Tensor, posed_joints: Tensor | None = None) -> Tensor:
        """As for a body; zeros for predicted hands."""
        if posed_joints is None:
            return vertices.new_zeros(len(vertices), 1, 3, dtype=torch.float64)
        return posed_joints[:, HAND21_WRIST : HAND21_WRIST + 1].double()

    def centre_with_tokens(self, vertices: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
        """As for a body, both with the wrist of the tokens."""
        return self.centre(vertices.float(), joints)

    def pose(self, pose: Tensor, betas: Tensor) -> BodyModelOutput:
        """As for a body; joints are the 21 of the labels."""
        posed = super().pose(pose, betas)
        tips = posed.vertices.index_select(1, self.fingertips)
        joints = torch.cat((posed.joints, tips), dim=1).index_select(1, self.to_labels)
        return BodyModelOutput(posed.vertices, joints)

    def _rows(self) -> np.ndarray:
        joints = joint_regressor_matrix(self.assets, self.joint_set, self._arrays())
        return np.concatenate([joints[[HAND21_WRIST]], joints])

    def _read_model(self) -> None:
        super()._read_model()
        tips = np.asarray(self._arrays().get('fingertip_ids', MANO_FINGERTIPS), np.int64)
        for name, index in (('fingertips', tips), ('to_labels', MANO_TIPS_TO_HAND21)):
            index = torch.as_tensor(index, device=self.label_index.device)
            self.register_buffer(name, index, persistent=False)
        self._regressor = self._make_regressor()

    def _read_levels(self) -> None:
        """A hand has no regressor beside its model file."""

    def _arrays(self) -> dict[str, np.ndarray]:
        return load_model_arrays(self.name, self.assets.root, self.gender)
