# SPDX-License-Identifier: Apache-2.0
"""Criterion for people whose photos have 2D key points and no 3D labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mmpose.registry import MODELS
from torch import Tensor

from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.body.joint_regression import JointRegressor, joint_regressor_matrix
from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.geometry.precision import full
from fastmetro_mm.models.losses import ParametricBodyLoss
from fastmetro_mm.models.losses.parametric_loss import ParametricCase
from fastmetro_mm.structures import MeshPrediction, MeshTargets
from projects.fit_to_keypoints.prior import PosePrior, beyond_limits


@dataclass
class KeypointCase(ParametricCase):
    """What the terms for key points see besides.

    Attributes:
        rotmat: Predicted rotations against the parent. (B, 24, 3, 3)
        marks: All label joints as predicted, on the crop. (B, 24, 2)
        labels: Their labels and confidence. (B, 24, 3)
    """

    rotmat: Tensor
    marks: Tensor
    labels: Tensor


@MODELS.register_module()
class KeypointPriorLoss(ParametricBodyLoss):
    """Places of all 24 label joints, and what is usual of bodies.

    Terms of labelled bodies (pseudo labels, drawn people) are those of ``ParametricBodyLoss``; a
    row without them is judged by its key points and the priors alone.

    Args:
        body: The network's body.
        marks_weight: Of the distance of labelled joints on the crop, which spans [-1, 1].
        pose_prior_weight: Of the squared Mahalanobis distance from the poses of the library.
        limits_weight: Of knees and elbows beyond their limits, squared radians.
        shape_prior_weight: Of the squared betas.
        kwargs: Weights of ``ParametricBodyLoss``; its term for 14 places is left out, since
            these joints are among the 24.
    """

    TERMS: ClassVar = {
        **ParametricBodyLoss.TERMS,
        'marks': lambda self, c: (c.labels[..., 2:] * (c.marks - c.labels[..., :2]).abs()).mean(),
        'pose_prior': lambda self, c: self.prior(c.rotmat).mean(),
        'limits': lambda self, c: beyond_limits(c.rotmat).mean(),
        'shape_prior': lambda self, c: c.pred_betas.square().mean(),
    }

    def __init__(
        self,
        body: Any = None,
        marks_weight: float = 6.0,
        pose_prior_weight: float = 0.005,
        limits_weight: float = 0.5,
        shape_prior_weight: float = 0.005,
        **kwargs: float,
    ) -> None:
        super().__init__(body, **{'joints_2d_weight': 0.0, **kwargs})
        self.weights |= dict(
            marks=marks_weight,
            pose_prior=pose_prior_weight,
            limits=limits_weight,
            shape_prior=shape_prior_weight,
        )
        arrays = load_model_arrays(self.body.name, self.body.assets.root, self.body.gender)
        self.regressor = JointRegressor(joint_regressor_matrix(self.body.assets, 'j24', arrays))
        prior = PosePrior.of_library()
        self.register_buffer('mean', prior.mean, persistent=False)
        self.register_buffer('precision', prior.precision, persistent=False)

    def prior(self, rotmat: Tensor) -> Tensor:
        """Distance from usual poses. (B,)."""
        return PosePrior(self.mean, self.precision)(rotmat)

    def prepare(self, prediction: MeshPrediction, targets: MeshTargets) -> KeypointCase:
        """Add the joints of the labels to what ``ParametricBodyLoss`` prepares."""
        case = super().prepare(prediction, targets)
        points = self.regressor(full(prediction.vertices))
        return KeypointCase(
            **vars(case),
            rotmat=full(prediction.rotmat),
            marks=weak_perspective_project(points, full(prediction.pred_cam)),
            labels=full(targets.joints_2d),
        )
