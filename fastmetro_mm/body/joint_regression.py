# SPDX-License-Identifier: Apache-2.0
"""Joints of a joint set as fixed linear combinations of mesh vertices."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fastmetro_mm.body.assets import BodyAssets
from fastmetro_mm.body.joint_sets import (
    H36M17_TO_J14,
    MANO_FINGERTIPS,
    MANO_TIPS_TO_HAND21,
    SMPL_EXTRA_TO_J24,
)
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.precision import full_precision

REGRESSED_SETS = ('h36m17', 'j14', 'j24', 'hand21')


def joint_regressor_matrix(
    assets: BodyAssets, joint_set: str, model_arrays: Mapping[str, np.ndarray] | None = None
) -> np.ndarray:
    """Regressor rows of a joint set.

    Args:
        assets: Body the vertices belong to.
        joint_set: ``'h36m17'`` or ``'j14'`` (H36M rows), ``'j24'`` (joints of the model file
            and the extra rows) or ``'hand21'`` (joints of the model file and five fingertip
            vertices).
        model_arrays: Arrays of the model file; needed by ``'j24'`` and ``'hand21'``.

    Returns:
        (J, V) float64 in the order of that set in ``joint_sets``.

    Raises:
        ValueError: Unknown set, a set that does not fit the body, or missing model arrays.
    """
    if joint_set not in REGRESSED_SETS:
        raise ConfigError(
            f"unknown joint set '{joint_set}'; use one of {', '.join(REGRESSED_SETS)}"
        )
    if (assets.joint_set == 'hand21') != (joint_set == 'hand21'):
        raise ConfigError(f"joint set '{joint_set}' does not fit body '{assets.name}'")
    if joint_set == 'h36m17':
        return assets.J_regressor_h36m
    if joint_set == 'j14':
        return assets.J_regressor_h36m[list(H36M17_TO_J14)]
    if model_arrays is None:
        raise ConfigError(
            f"joint set '{joint_set}' needs the J_regressor of the model file: "
            'pass model_arrays=read_model_file(path)'
        )
    regressor = np.asarray(model_arrays['J_regressor'], np.float64)
    if regressor.shape[1] != assets.num_vertices[0]:
        raise ConfigError(
            f'the model file has {regressor.shape[1]} vertices, body '
            f"'{assets.name}' has {assets.num_vertices[0]}"
        )
    if joint_set == 'j24':
        return np.concatenate([regressor, assets.J_regressor_extra])[list(SMPL_EXTRA_TO_J24)]
    tips = np.asarray(model_arrays.get('fingertip_ids', MANO_FINGERTIPS), np.int64)
    one_hot = np.zeros((len(tips), regressor.shape[1]))
    one_hot[np.arange(len(tips)), tips] = 1.0
    return np.concatenate([regressor, one_hot])[list(MANO_TIPS_TO_HAND21)]


def centre_on(joints: Tensor, root: Sequence[int]) -> Tensor:
    """Shift joints so that the mean of the root joints lies at the origin.

    Args:
        joints: (B, J, 3).
        root: indices of the joints whose mean is the new origin.
    """
    # a sum of slices: indexing with a list would copy the indices to the device at every call
    total = joints[:, root[0]]
    for index in root[1:]:
        total = total + joints[:, index]
    return joints - (total / len(root))[:, None]


class JointRegressor(nn.Module):
    """Regresses joints from fine vertices.

    Args:
        matrix: Regressor rows, see :func:`joint_regressor_matrix`. (J, V)
    """

    vertex_index: Tensor
    weights: Tensor

    def __init__(self, matrix: np.ndarray) -> None:
        super().__init__()
        # Only few vertices carry weight (101 of 6890 for the H36M rows): the others would
        # only add zeros.
        used = np.flatnonzero(matrix.any(axis=0))
        self.num_vertices = matrix.shape[1]
        self.register_buffer('vertex_index', torch.from_numpy(used), persistent=False)
        weights = torch.tensor(matrix[:, used], dtype=torch.float32)
        self.register_buffer('weights', weights, persistent=False)

    def forward(self, vertices: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Regress joints.

        Args:
            vertices: (B, V, 3) fine vertices, any unit.
            dtype: Precision of computation and result; that of the vertices, float32 for half
                precision, if not given.

        Returns:
            (B, J, 3) in the same unit. The joints of a sample do not depend, to the last bit, on
            what else is in the batch.

        Raises:
            ValueError: Another number of vertices.
        """
        if vertices.ndim != 3 or vertices.shape[1] != self.num_vertices:
            raise ValueError(
                f'expected (B, {self.num_vertices}, 3) vertices, found {tuple(vertices.shape)}'
            )
        if dtype is None:
            dtype = torch.float64 if vertices.dtype == torch.float64 else torch.float32
        with full_precision(vertices):
            picked = vertices.index_select(1, self.vertex_index).to(dtype)
            # one product a sample: a product over the whole batch would add in another order
            return torch.bmm(self.weights.to(dtype).expand(len(picked), -1, -1), picked)
