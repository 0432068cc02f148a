# SPDX-License-Identifier: Apache-2.0
"""What the criteria share: a body, named terms and their weighted sum, in full precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from fastmetro_mm.body.mesh_body import build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.geometry.precision import full, full_precision
from fastmetro_mm.models.losses.joint_loss import MeshJoint2DLoss, MeshJoint3DLoss
from fastmetro_mm.models.losses.vertex_loss import MeshVertexLoss
from fastmetro_mm.structures import MeshPrediction, MeshTargets


def check_shape(tensor: Tensor, shape: tuple[int, ...], name: str, hint: str = '') -> None:
    """Raise one clear error unless a tensor is (B, *shape)."""
    if tuple(tensor.shape[1:]) != shape:
        wanted = ', '.join(map(str, ('B', *shape)))
        raise ConfigError(f'{name}: expected shape ({wanted}), got {tuple(tensor.shape)}{hint}')


# Projected as they are centred: tokens on their own root, mesh joints on that of the mesh.
PROJECTED_TERMS: dict[str, Callable[[Any, Any], Tensor]] = dict(
    j2d_token=lambda self, c: self.joints_2d(
        weak_perspective_project(c.tokens, c.pred_cam), c.joints_2d
    ),
    j2d_mesh=lambda self, c: self.joints_2d(
        weak_perspective_project(c.joints, c.pred_cam), c.joints_2d
    ),
)


class MeshCriterion(nn.Module):
    """Weighted sum of named terms.

    Buffers are not persistent: they come from files and must not enter checkpoints.

    Args:
        body: The network's :class:`MeshBody`, or what ``build_body`` takes.
        weights: Weight of every term, by name.
    """

    DEFAULT_BODY: ClassVar[str]
    JOINT_SET: ClassVar[str]
    MISFIT: ClassVar[str]
    """Why a body of another joint set is refused, and what to use."""
    TERMS: ClassVar[dict[str, Callable[[Any, Any], Tensor]]]
    """Function of criterion and prepared case for every term, in the order of the log."""

    def __init__(self, body: Any, weights: dict[str, float]) -> None:
        super().__init__()
        self.body = build_body(body, self.DEFAULT_BODY, with_model=False)
        if self.body.joint_set != self.JOINT_SET:
            raise ConfigError(f"body '{self.body.name}' {self.MISFIT}")
        self.weights = weights
        self.joints_3d = MeshJoint3DLoss(root=self.body.token_root)
        self.joints_2d = MeshJoint2DLoss()
        self.vertices = MeshVertexLoss()

    def forward(
        self,
        prediction: MeshPrediction | None = None,
        targets: MeshTargets | None = None,
        **tensors: Tensor,
    ) -> dict[str, Tensor]:
        """Compute every term and the total.

        Args:
            prediction: Raw network output.
            targets: Labels of the same batch.
            **tensors: Instead of both, the tensors of :meth:`named`.

        Returns:
            The unweighted terms and ``total``, their weighted sum; float32 scalars. Terms without
            a labelled sample are 0.

        Raises:
            ConfigError: If a shape does not fit the body or the batch.
        """
        if prediction is None or targets is None:
            prediction, targets = self.named(**tensors)
        with full_precision(prediction.pred_cam):
            case = self.prepare(prediction, targets)
            terms: dict[str, Any] = {name: term(self, case) for name, term in self.TERMS.items()}
            terms['total'] = sum(weight * terms[name] for name, weight in self.weights.items())
        return terms

    def named(self, **tensors: Tensor) -> tuple[MeshPrediction, MeshTargets]:
        """Prediction and targets from tensors by name."""
        raise NotImplementedError

    def prepare(self, prediction: MeshPrediction, targets: MeshTargets) -> Any:
        """What the terms are computed from: centred, sampled to the levels, in full precision."""
        raise NotImplementedError

    def select_labels(self, labels: Tensor, columns: int, name: str) -> Tensor:
        """Labels of the predicted joints, in full precision.

        Args:
            labels: Label rows, the last column the confidence. (B, 24, columns); (B, 21, columns)
            columns: Numbers of one joint.
            name: For the error message.
        """
        count = len(self.body.label_names)
        check_shape(labels, (count, columns), name, ' (last column confidence)')
        return full(labels).index_select(1, self.body.label_index)

    def check_levels(self, **meshes: tuple[Tensor, int]) -> None:
        """Check the size of meshes, given as (vertices, level) by name."""
        for name, (vertices, level) in meshes.items():
            check_shape(
                vertices,
                (self.body.num_vertices[level], 3),
                name,
                '; is the criterion built for the body of the network?',
            )
