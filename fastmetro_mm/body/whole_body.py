# SPDX-License-Identifier: Apache-2.0
"""The body that a network predicts: one object for its levels, joints, root and model.

It is built once, by the estimator, and handed to everything that must know which mesh is meant.
All buffers are made when it is built (or by :meth:`MeshBody.require_model`), none while a network
runs, and none enters a checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastmetro_mm.body.assets import BodyAssets
from fastmetro_mm.body.build import build_body_model
from fastmetro_mm.body.joint_regression import JointRegressor, centre_on, joint_regressor_matrix
from fastmetro_mm.body.joint_sets import H36M17_PELVIS, J14, J14_HIPS, J24, J24_TO_J14, flip_pairs
from fastmetro_mm.body.mesh_sampling import MeshSampling
from fastmetro_mm.body.skeletons import keypoint_metainfo
from fastmetro_mm.body.skinning import BodyModelOutput
from fastmetro_mm.errors import ConfigError, MissingBodyFileError


class MeshBody(nn.Module):
    """A whole body: SMPL, or the open body, which has its layout.

    Args:
        assets: Mesh levels and fixed matrices.
        gender: Of the model file: ``'neutral'``, ``'male'`` or ``'female'``.
        with_model: Whether the model file is read where it exists. A network predicts meshes of
            a body without it; its labels cannot be posed then.

    Attributes:
        assets: Mesh levels and fixed matrices.
        sampling: Maps between the levels.
        model: Turns pose and shape into vertices; None without the model file.
        missing: Why there is no model.
    """

    label_index: Tensor
    joint_set = 'j14'
    joint_names: Sequence[str] = J14
    label_names: Sequence[str] = J24
    """Joints of the label rows, in their order."""
    token_root: Sequence[int] = J14_HIPS
    """Predicted joints whose mean is the origin of joint tokens and of the 3D joint errors."""
    labels_to_joints: Sequence[int] = J24_TO_J14
    filling_scale = 1.0
    """Weak-perspective scale at which it fills a crop: 2 m of crop for 1.7 m of person."""

    def __init__(
        self, assets: BodyAssets, gender: str = 'neutral', with_model: bool = True
    ) -> None:
        super().__init__()
        if assets.joint_set != self.joint_set:
            raise ConfigError(
                f"body '{assets.name}' is not of kind {type(self).__name__}; "
                'use build_body(dict(name=...))'
            )
        self.assets = assets
        self.gender = gender
        self.sampling = MeshSampling(assets)
        labels = torch.tensor(list(self.labels_to_joints))
        self.register_buffer('label_index', labels, persistent=False)
        self.model: nn.Module | None = None
        self._regressor: JointRegressor | None = None
        self.missing: str | None = None
        for read in (self._read_levels, self._read_model) if with_model else (self._read_levels,):
            try:
                read()
            except MissingBodyFileError as error:  # raw meshes need neither
                self.missing = str(error)

    @property
    def name(self) -> str:
        """``'smpl'``, ``'mano'``, ``'open_body'`` or ``'open_hand'``."""
        return self.assets.name

    @property
    def is_hand(self) -> bool:
        """Whether it is a hand, with the joints of one."""
        return self.joint_set == 'hand21'

    @property
    def config(self) -> dict[str, str]:
        """What :func:`build_body` makes this body from again."""
        return dict(name=self.name, body_data_root=str(self.assets.root), gender=self.gender)

    @property
    def faces(self) -> np.ndarray:
        """Triangles of the full mesh, counter-clockwise seen from outside (F, 3)."""
        return self.assets.faces[0]

    @property
    def num_vertices(self) -> tuple[int, ...]:
        """Vertices of every level, finest first."""
        return self.assets.num_vertices

    @property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) index pairs of the predicted joints."""
        return flip_pairs(self.joint_names)

    @property
    def metainfo(self) -> dict[str, Any]:
        """Metainfo of the predicted keypoints in mmpose's dataset-file form."""
        return keypoint_metainfo(self.joint_set)

    def require_model(self) -> nn.Module:
        """Read the model file now, unless that is done.

        Returns:
            The model, called as ``model(pose, betas)``.

        Raises:
            MissingBodyFileError: It is not there; the message says where to put it.
        """
        if self.model is None:
            self._read_model()
        assert self.model is not None  # or reading it has failed
        return self.model

    def joints(self, vertices: Tensor) -> Tensor:
        """Predicted joints of a full mesh.

        Args:
            vertices: Any origin, any unit. (B, V, 3)

        Returns:
            In the same frame and unit, :attr:`joint_names`; (B, 14, 3), hands (B, 21, 3).

        Raises:
            MissingBodyFileError: A hand's regressor is in its model file, which is not there.
        """
        return self._regress(vertices)[:, 1:]

    def centre(self, vertices: Tensor, posed_joints: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move a mesh and its joints to their root.

        The one place of this rule: the root of a body is the pelvis that the H36M regressor finds
        in the full mesh, as in the official code; of a hand it is the wrist, that of the posed
        skeleton where the mesh comes from pose and shape, else the regressed one.

        Args:
            vertices: Full mesh, metres; half precision is computed in float32. (B, V, 3)
            posed_joints: Joints that :meth:`pose` gave with the mesh, if it comes from there.

        Returns:
            Vertices (B, V, 3) and joints (B, 14, 3), hands (B, 21, 3), metres.
        """
        root, joints = self.root_and_joints(vertices, posed_joints)
        return vertices.to(root.dtype) - root, joints - root

    def root_and_joints(
        self, vertices: Tensor, posed_joints: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Root (B, 1, 3) and joints of a mesh where it is, metres; see :meth:`centre`."""
        points = self._regress(vertices)
        return points[:, :1], points[:, 1:]

    def regressor_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Root row (V,) and joint rows (J, V), float64: what :meth:`centre` multiplies with.

        Raises:
            MissingBodyFileError: A hand's regressor is in its model file, which is not there.
        """
        rows = self._rows()
        return rows[0], rows[1:]

    def score_origin(self, vertices: Tensor, posed_joints: Tensor | None = None) -> Tensor:
        """What the official evaluation subtracts from a mesh before it is compared.

        Bodies, predicted or true, are centred on their root. Predicted hands are taken as they
        are, on the wrist already, and true ones are centred on the wrist of the posed skeleton.

        Returns:
            Metres, float64. (B, 1, 3)
        """
        return self._regress(vertices, torch.float64)[:, :1]

    def centre_tokens(self, joints: Tensor) -> Tensor:
        """Move joints read from tokens to their own root: the middle of the hips, or the wrist.

        Args:
            joints: Predicted or labelled joints, metres. (B, J, 3)
        """
        return centre_on(joints, self.token_root)

    def centre_with_tokens(self, vertices: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
        """Move a mesh to its root, and the joints of the tokens to theirs.

        Args:
            vertices: Full mesh, metres. (B, V, 3)
            joints: Joints read from the joint tokens, metres. (B, J, 3)

        Returns:
            As :meth:`centre`. A hand's wrist is that of the tokens, which needs no model file.
        """
        return self.centre(vertices)[0], self.centre_tokens(joints)

    def pose(self, pose: Tensor, betas: Tensor) -> BodyModelOutput:
        """Pose the body.

        Args:
            pose: Axis-angles, radians, or rotation matrices, the global orientation first.
                (B, 72) or (B, 24, 3, 3); hands (B, 48) or (B, 16, 3, 3)
            betas: Shape. (B, 10)

        Returns:
            Vertices (B, V, 3) and joints, metres: (B, 24, 3) of the skeleton; hands (B, 21, 3)
            with the fingertips, in the order of the labels.

        Raises:
            MissingBodyFileError: There is no model file.
        """
        if self.model is None:
            raise MissingBodyFileError(self.missing or f'{self.name}: the model was not read')
        return self.model(pose, betas)

    @torch.no_grad()
    def rest_pose(self, level: int) -> Tensor:
        """The mean shape in the rest pose, upright in camera axes and facing the camera.

        Args:
            level: Wanted level, 0 the finest.

        Returns:
            Vertices about their root, metres; zeros without the model file. (V, 3)
        """
        device = self.label_index.device
        if self.model is None:
            return torch.zeros(self.num_vertices[level], 3, device=device)
        pose = torch.zeros(1, 48 if self.is_hand else 72, device=device)
        pose[0, 0] = math.pi  # half a turn about x: from y up to y down
        vertices, _ = self.centre(self.pose(pose, torch.zeros(1, 10, device=device)).vertices)
        return self.sampling.down(vertices, 0, level)[0]

    def _rows(self) -> np.ndarray:
        """Regressor rows of the root and of the joints (1 + J, V)."""
        joints = joint_regressor_matrix(self.assets, self.joint_set)
        return np.concatenate([self.assets.J_regressor_h36m[[H36M17_PELVIS]], joints])

    def _regress(self, vertices: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Root and joints, (B, 1 + J, 3)."""
        if self._regressor is None:
            raise MissingBodyFileError(self.missing or f'{self.name}: the model was not read')
        return self._regressor(vertices, dtype)

    def _read_model(self) -> None:
        self.model = build_body_model(self.name, self.assets.root, self.gender).to(
            self.label_index.device
        )

    def _read_levels(self) -> None:
        self._regressor = self._make_regressor()

    def _make_regressor(self) -> JointRegressor:
        return JointRegressor(self._rows()).to(self.label_index.device)
