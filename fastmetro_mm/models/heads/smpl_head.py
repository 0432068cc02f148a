# SPDX-License-Identifier: Apache-2.0
"""SMPL parameters from the middle mesh (the optional regressor of the official code)."""

from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.body.joint_sets import SMPL24
from fastmetro_mm.body.mesh_body import MeshBody, build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.rotation import project_to_rotation
from fastmetro_mm.models.heads.base_head import for_the_log
from fastmetro_mm.structures import MeshPrediction, MeshTargets

NUM_JOINTS = len(SMPL24)
NUM_BETAS = 10


class _Block(nn.Module):
    """Linear layers with BatchNorm, kept under the name the released weights use."""

    def __init__(self, *layers: nn.Module, residual: bool) -> None:
        super().__init__()
        self.fc_block = nn.Sequential(*layers)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        if self.residual:
            return nn.functional.relu(x + self.fc_block(x))
        return self.fc_block(x)


@MODELS.register_module()
class SMPLRegressorHead(BaseModule):
    """Regress 24 rotations and 10 betas from the detached middle mesh.

    One linear block, two residual blocks and a linear layer give 24 3x3 matrices; each becomes
    ``R = U V^T`` of its singular value decomposition, multiplied by ``det(R)`` as in the official
    code, which negates a reflection as a whole. All matrices of a batch are decomposed in one
    call on their device, in float32.

    Args:
        body: Which mesh: the estimator's :class:`MeshBody`, or ``dict(name='smpl', ...)``.
        hidden_dim: Width of the blocks.
        criterion: Loss, e.g. ``dict(type='SMPLParamLoss')``; needed for training only.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: If ``body`` is a hand; there is no such head for hands.
    """

    def __init__(
        self,
        body: MeshBody | dict,
        hidden_dim: int = 1024,
        criterion: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.body = build_body(body)
        if self.body.assets.joint_set != 'j14':
            raise ConfigError(
                f'SMPLRegressorHead works on bodies, but body.name is {self.body.name!r}'
            )
        self.num_vertices = self.body.num_vertices[1]

        def residual() -> nn.Module:
            return _Block(
                nn.Linear(hidden_dim, hidden_dim),
                nn.BatchNorm1d(hidden_dim),
                nn.ReLU(inplace=True),
                nn.Linear(hidden_dim, hidden_dim),
                nn.BatchNorm1d(hidden_dim),
                residual=True,
            )

        first = _Block(
            nn.Linear(self.num_vertices * 3, hidden_dim),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(inplace=True),
            residual=False,
        )
        last = nn.Linear(hidden_dim, NUM_JOINTS * 9 + NUM_BETAS)
        self.regressor = nn.Sequential(first, residual(), residual(), last)
        self.criterion = None
        if criterion is not None:
            self.criterion = MODELS.build({'body': self.body, **criterion})

    def forward(self, vertices_mid: Tensor) -> tuple[Tensor, Tensor]:
        """Regress the parameters; no gradient flows back into the mesh.

        Args:
            vertices_mid: Raw middle mesh, metres. (B, 1723, 3)

        Returns:
            Rotation matrices (B, 24, 3, 3), 0 is the global orientation, and betas (B, 10).
        """
        return self.parameters_of(self.regressor(vertices_mid.detach().flatten(1)))

    def parameters_of(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations and shape from what the layers give.

        Args:
            out: 24 raw 3x3 matrices, then 10 betas. (B, 226)

        Returns:
            As for :meth:`forward`.
        """
        matrices, betas = out.split((NUM_JOINTS * 9, NUM_BETAS), dim=1)
        rotmat = project_to_rotation(matrices.float().unflatten(1, (NUM_JOINTS, 3, 3)))
        return rotmat, betas

    def loss(self, prediction: MeshPrediction, targets: MeshTargets) -> dict[str, Tensor]:
        """Judge the parameters and the mesh they give: ``loss_smpl`` and its unweighted terms.

        The prediction, with ``rotmat`` and ``betas``, gets ``smpl_vertices``.

        Raises:
            ConfigError: If the head was built without a criterion.
            MissingBodyFileError: If the model file of the body is missing.
        """
        if self.criterion is None:
            raise ConfigError(
                'SMPLRegressorHead has no criterion: set '
                "model.smpl_head.criterion=dict(type='SMPLParamLoss')"
            )
        posed = self.body.pose(prediction.rotmat, prediction.betas.float())
        prediction.smpl_vertices = posed.vertices
        terms = self.criterion(prediction, targets)
        total = terms.pop('total')
        return {'loss_smpl': total, **for_the_log(terms)}
