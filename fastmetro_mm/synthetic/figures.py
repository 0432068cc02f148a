# SPDX-License-Identifier: Apache-2.0
"""The body or hand that is drawn: its skinning layer, keypoints, faces and rest pose, as arrays."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model
from fastmetro_mm.body.joint_regression import JointRegressor, joint_regressor_matrix
from fastmetro_mm.body.model_files import find_model_file, read_model_file

KINDS = {'body': ('open_body', 'j24', 14), 'hand': ('open_hand', 'hand21', 0)}
"""Kind to name of the open model, joint set of the labels, and root row of that set."""


@dataclass(frozen=True)
class PosedFigure:
    """One posed figure, camera axes, metres, without the camera's translation."""

    vertices: np.ndarray  # (V, 3) float32
    keypoints: np.ndarray  # (K, 3) float64, label joints regressed from the vertices


class Figure:
    """The open body or the open hand.

    Args:
        kind: ``'body'`` or ``'hand'``.

    Attributes:
        faces: (F, 3) int64.
        rest: (V, 3) float32 template vertices, metres.
        rest_joints: (J, 3) joints of the kinematic tree at rest.
        rest_keypoints: (K, 3) label joints at rest.
        weights: (V, J) skinning weights.
        root: Row of the label joints that is the origin of ``3d_joints``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        name, joint_set, self.root = KINDS[kind]
        arrays = read_model_file(find_model_file(name))
        self._model = build_body_model(name)
        self._regressor = JointRegressor(
            joint_regressor_matrix(load_body_assets(name), joint_set, arrays)
        )
        self.faces = np.asarray(arrays['f']).astype(np.int64)
        self.weights = np.asarray(arrays['weights'], dtype=np.float32)
        self.rest = np.asarray(arrays['v_template'], dtype=np.float32)
        self.rest_joints = np.asarray(arrays['J_regressor']) @ np.asarray(arrays['v_template'])
        self.hands_mean = np.asarray(arrays.get('hands_mean', np.zeros(0)), dtype=np.float64)
        self.rest_keypoints = self._keypoints(torch.from_numpy(self.rest[None]))[0]
        self._vertex_faces = _incidence(self.faces, len(self.rest))

    def pose(self, poses: np.ndarray, betas: np.ndarray) -> list[PosedFigure]:
        """Poses the figure.

        Args:
            poses: (B, J * 3) axis-angle, the root in camera axes; of a hand relative to its mean.
            betas: (B, 10) shapes.

        Returns:
            B posed figures.
        """
        with torch.inference_mode():
            vertices = self._model(
                torch.as_tensor(poses, dtype=torch.float32),
                torch.as_tensor(betas, dtype=torch.float32),
            ).vertices
            keypoints = self._keypoints(vertices)
        return [PosedFigure(v, k) for v, k in zip(vertices.numpy(), keypoints, strict=True)]

    def _keypoints(self, vertices: torch.Tensor) -> np.ndarray:
        return self._regressor(vertices).numpy().astype(np.float64)

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """Outward vertex normals (V, 3), weighted by area, not of unit length."""
        corners = vertices[self.faces]
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        across = np.empty_like(a)  # np.cross, spelled out: several times quicker
        across[:, 0] = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
        across[:, 1] = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
        across[:, 2] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        return self._vertex_faces @ across


def _incidence(faces: np.ndarray, num_vertices: int) -> sparse.csr_matrix:
    """(V, F) matrix that sums face values at the vertices."""
    columns = np.repeat(np.arange(len(faces)), 3)
    ones = np.ones(len(columns), dtype=np.float32)
    return sparse.csr_matrix((ones, (faces.ravel(), columns)), (num_vertices, len(faces)))
