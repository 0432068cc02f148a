# SPDX-License-Identifier: Apache-2.0
"""Gradient descent on pose, shape and place of many bodies at once, through the skinning layer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fastmetro_mm.body.joint_sets import J24, index_map
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from projects.fit_to_keypoints.prior import FITTED, PosePrior, beyond_limits
from projects.free_model.lifting.small_body import SmallBody, SmallMesh

_TORSO = index_map(('R_Hip', 'L_Hip', 'R_Shoulder', 'L_Shoulder'), J24)
_HINGE = 10.0  # weight of the limits against the data term


@dataclass(frozen=True)
class Bodies:
    """Posed bodies before a camera.

    Attributes:
        rotmat: Rotations against the parent, the root against the camera. (B, 24, 3, 3)
        betas: (B, 10)
        translation: Metres, ``camera = root + translation``. (B, 3)
    """

    rotmat: Tensor
    betas: Tensor
    translation: Tensor

    @classmethod
    def cat(cls, parts: Sequence['Bodies']) -> 'Bodies':
        """All bodies in one."""
        names = ('rotmat', 'betas', 'translation')
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Weights:
    """How much the terms count beside the distance from the key points.

    Attributes:
        pose: Of the pose prior.
        shape: Of the squared betas.
        start: Of the squared turns away from where the fit began.
        doubt: Distance at which a key point has lost three quarters of its say, in lengths of the
            person on the image: it may be wrong.
    """

    pose: float = 1e-3
    shape: float = 1e-3
    start: float = 2e-3
    doubt: float = 0.15


@dataclass(frozen=True)
class Fitted:
    """What came out.

    Attributes:
        bodies: The bodies.
        mesh: Their joints and vertices, metres, on the root.
        residual: Root mean square distance of labelled joints from their key points, in lengths
            of the person on the image. (B,)
    """

    bodies: Bodies
    mesh: SmallMesh
    residual: Tensor


def project(points: Tensor, translation: Tensor, intrinsics: Tensor) -> Tensor:
    """Pixels (B, N, 2) of root-frame points (B, N, 3), metres, by K (B, 3, 3)."""
    seen = (points + translation[:, None]) @ intrinsics.mT
    return seen[..., :2] / seen[..., 2:].clamp(min=0.05)


def size_on_image(keypoints: Tensor) -> Tensor:
    """Longer side of the box of the key points with a score (B, 24, 3), pixels. (B,)."""
    known = keypoints[..., 2:] > 0
    places = keypoints[..., :2]
    low = torch.where(known, places, torch.inf).amin(1)
    high = torch.where(known, places, -torch.inf).amax(1)
    return (high - low).amax(-1).clamp(min=1.0)


def fit_bodies(
    body: SmallBody,
    start: Bodies,
    keypoints: Tensor,
    intrinsics: Tensor,
    weights: Weights | None = None,
    prior: PosePrior | None = None,
    steps: int = 120,
) -> Fitted:
    """Move bodies onto 2D key points.

    First the place and the direction alone, then everything; every body is a problem of its own,
    solved beside the others (SMPLify, Bogo et al., ECCV 2016, started from a network's answer, as
    SPIN, Kolotouros et al., ICCV 2019).

    Args:
        body: The skinning layer.
        start: Where to begin: the network's answer.
        keypoints: Pixels and a score of 0 (not known) to 1, joints of J24. (B, 24, 3)
        intrinsics: Matrix K, pixels. (B, 3, 3)
        weights: Of the terms; those tuned on drawn people if not given.
        prior: Of the poses; that of the library if not given.
        steps: Of Adam.

    Returns:
        The bodies; one without any key point stays as it is.
    """
    weights, prior = weights or Weights(), prior or PosePrior.of_library()
    sizes = size_on_image(keypoints)
    turns = torch.zeros(*start.rotmat.shape[:2], 3)
    moving = torch.zeros(24, 1)
    moving[[0, *FITTED]] = 1
    # metres at the person's distance, so that one rate fits near and far people
    unit = start.translation[:, 2:].clamp(min=0.3)
    moves, betas = torch.zeros_like(start.translation), start.betas.clone()
    variables = [value.requires_grad_() for value in (turns, moves, betas)]

    def now() -> Bodies:
        rotmat = axis_angle_to_rotmat(turns * moving) @ start.rotmat
        return Bodies(rotmat, betas, start.translation + moves * unit)

    def loss() -> Tensor:
        bodies = now()
        off = _offsets(body(bodies.rotmat, bodies.betas), bodies, keypoints, intrinsics, sizes)
        squared = off.square().sum(-1) / weights.doubt**2
        seen = keypoints[..., 2].square()
        data = weights.doubt**2 * (seen * squared / (1 + squared)).sum(1) / 10
        return (
            data
            + weights.pose * prior(bodies.rotmat)
            + weights.shape * bodies.betas.square().mean(1)
            + weights.start
            * (turns[:, 1:].square().sum((1, 2)) / 10 + 0.1 * turns[:, 0].square().sum(1))
            + weights.doubt**2 * _HINGE * beyond_limits(bodies.rotmat)
        ).sum()

    optimizer = torch.optim.Adam(variables, lr=0.02)
    for step in range(steps):
        optimizer.param_groups[0]['lr'] = 0.03 * (1 - step / steps) + 0.002
        optimizer.zero_grad()
        loss().backward()
        if step < steps // 6:
            turns.grad[:, 1:] = 0
            betas.grad.zero_()
        optimizer.step()
    with torch.no_grad():
        known = (keypoints[..., 2] > 0).any(1)
        bodies = Bodies(
            *(
                torch.where(known.view(-1, *(1,) * (new.dim() - 1)), new, old)
                for new, old in (
                    (now().rotmat, start.rotmat),
                    (betas, start.betas),
                    (now().translation, start.translation),
                )
            )
        )
        mesh = body(bodies.rotmat, bodies.betas)
        off = _offsets(mesh, bodies, keypoints, intrinsics, sizes)
        seen = keypoints[..., 2]
        residual = ((off.square().sum(-1) * seen).sum(1) / seen.sum(1)).sqrt()
    return Fitted(bodies, replace(mesh), residual)


def _offsets(
    mesh: SmallMesh, bodies: Bodies, keypoints: Tensor, intrinsics: Tensor, sizes: Tensor
) -> Tensor:
    """From key points to joints, in lengths of the person. (B, 24, 2)."""
    places = project(mesh.joints, bodies.translation, intrinsics)
    return (places - keypoints[..., :2]) / sizes[:, None, None]
