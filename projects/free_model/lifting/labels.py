# SPDX-License-Identifier: Apache-2.0
"""Labels of a training batch, and the distance of a prediction from them."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.geometry.rotation import global_rotations, local_rotations
from projects.free_model.lifting.small_body import SmallBody, SmallMesh

UNSEEN_WEIGHT = 0.15
"""Weight of a joint's place on the crop where the image does not show it."""


@dataclass
class Labels:
    """Truth of a batch.

    Attributes:
        turned: Rotations against the camera. (B, 24, 3, 3)
        betas: (B, 10)
        coarse: (B, 431, 3) metres, on the root.
        joints: (B, 24, 3) metres, on the root.
        scored: (B, 14, 3) metres, on the root.
        places: Joints on the crop in [-1, 1]. (B, 24, 2)
        weights: Of the places. (B, 24)
    """

    turned: Tensor
    betas: Tensor
    coarse: Tensor
    joints: Tensor
    scored: Tensor
    places: Tensor
    weights: Tensor

    @classmethod
    def of(
        cls,
        body: SmallBody,
        mesh: SmallMesh,
        rotmat: Tensor,
        betas: Tensor,
        places: Tensor,
        seen: Tensor,
    ) -> 'Labels':
        """Labels of a posed body; ``places`` (B, 24, 2), ``seen`` (B, 24) booleans."""
        weights = torch.where(seen, 1.0, UNSEEN_WEIGHT)
        turned = global_rotations(rotmat, body.parents)
        return cls(turned, betas, mesh.coarse, mesh.joints, mesh.scored, places, weights)

    @classmethod
    def cat(cls, parts: list['Labels']) -> 'Labels':
        """One batch of several."""
        return cls(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def aligned_distance(pred: Tensor, true: Tensor) -> Tensor:
    """Distance of joints after the similarity that lays the one set on the other best, (B,).

    What PA-MPJPE measures. The similarity is held fixed for the gradient: it is the best one, so
    that its own change counts only in second order.

    Args:
        pred: (B, J, 3)
        true: (B, J, 3)
    """
    with torch.no_grad():
        pred_mean, true_mean = pred.mean(1, keepdim=True), true.mean(1, keepdim=True)
        start, end = pred - pred_mean, true - true_mean
        left, strengths, right = torch.linalg.svd(start.mT @ end)
        signs = torch.ones_like(strengths)
        signs[:, 2] = torch.linalg.det(left @ right).sign()
        turn = (left * signs[:, None]) @ right  # acts on row vectors
        spread = start.square().sum((1, 2)).clamp(min=1e-6)
        scale = ((strengths * signs).sum(1) / spread)[:, None, None]
    return (scale * ((pred - pred_mean) @ turn) + true_mean - true).norm(dim=-1).mean(1)


def judge(
    body: SmallBody,
    read: tuple[Tensor, Tensor, Tensor],
    labels: Labels,
    metres: float = 1.0,
    aligned: float = 8.0,
) -> tuple[Tensor, dict[str, Tensor], SmallMesh]:
    """Loss of what ``ParametricMeshHead.read`` gives.

    The weights were chosen so that rotations, metres and places pull about equally at the end of
    a training; ``ParametricBodyLoss`` has the same, but for the aligned joints.

    Args:
        body: What poses the mesh.
        read: Rotations against the camera, betas, camera.
        labels: Truth.
        metres: Factor of the terms in metres; a hand is some eight times smaller than a body.
        aligned: Weight of the joints' distance after alignment, metres.

    Returns:
        The loss, its terms for the log (``mpjpe`` in millimetres), and the predicted mesh.
    """
    turned, betas, camera = read
    mesh = body(local_rotations(turned, body.parents), betas)
    places = weak_perspective_project(mesh.joints, camera)
    terms = dict(
        rotation=(turned - labels.turned).abs().mean(),
        vertices=(mesh.coarse - labels.coarse).abs().mean(),
        joints=(mesh.joints - labels.joints).abs().mean()
        + (mesh.scored - labels.scored).abs().mean(),
        betas=(betas - labels.betas).square().mean(),
        places=((places - labels.places).abs().clamp(max=2) * labels.weights[..., None]).mean(),
        aligned=aligned_distance(mesh.scored, labels.scored).mean(),
    )
    weights = dict(
        rotation=1.0,
        vertices=4.0 * metres,
        joints=6.0 * metres,
        betas=0.02,
        places=3.0,
        aligned=aligned,
    )
    total = sum(weights[name] * term for name, term in terms.items())
    log = {name: term.detach() for name, term in terms.items()}
    log['mpjpe'] = 1000 * (mesh.scored - labels.scored).detach().norm(dim=-1).mean()
    return total, log, mesh
