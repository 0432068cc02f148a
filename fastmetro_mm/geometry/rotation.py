# SPDX-License-Identifier: Apache-2.0
"""Rotations: axis-angle, matrices, projection of any matrix onto the rotations."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastmetro_mm.geometry.precision import full_precision

# Below this squared angle the series are exact to double precision and the quotients are not.
_SMALL_SQUARED_ANGLE = 1e-4


def axis_angle_to_rotmat(axis_angle: Tensor) -> Tensor:
    """Rotation matrices of axis-angle vectors (Rodrigues' formula).

    Differentiable everywhere, the zero vector included.

    Args:
        axis_angle: (..., 3) in radians; the length is the angle.

    Returns:
        (..., 3, 3) rotation matrices that act on column vectors.
    """
    squared = (axis_angle * axis_angle).sum(dim=-1)
    small = squared < _SMALL_SQUARED_ANGLE
    # The branch that is not taken must not produce NaN gradients, hence the harmless angle.
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    half_sine = torch.sin(0.5 * angle)
    sine = torch.where(small, 1 - squared / 6 + squared * squared / 120, torch.sin(angle) / angle)
    # (1 - cos a) / a^2 through the half angle: no cancellation.
    versine = torch.where(
        small,
        0.5 - squared / 24 + squared * squared / 720,
        2 * half_sine * half_sine / (angle * angle),
    )
    x, y, z = axis_angle.unbind(dim=-1)
    sx, sy, sz = sine * x, sine * y, sine * z
    xy, xz, yz = versine * x * y, versine * x * z, versine * y * z
    xx, yy, zz = versine * x * x, versine * y * y, versine * z * z
    rows = [1 - yy - zz, xy - sz, xz + sy, xy + sz, 1 - xx - zz, yz - sx, xz - sy, yz + sx,
            1 - xx - yy]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def rotmat_to_axis_angle(rotmat: Tensor) -> Tensor:
    """Axis-angle vectors of rotation matrices, with angles in [0, pi].

    Goes through a unit quaternion built from its largest component, so it is accurate at 0 and
    at pi (where the sign of the axis is free) and its gradients are finite.

    Args:
        rotmat: (..., 3, 3) rotation matrices.

    Returns:
        (..., 3) in radians.
    """
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (
        row.unbind(dim=-1) for row in rotmat.unbind(dim=-2)
    )
    # Rows of 4 q q^T (w, x, y, z); any row with a large diagonal gives q after normalisation.
    candidates = torch.stack([
        torch.stack([1 + m00 + m11 + m22, m21 - m12, m02 - m20, m10 - m01], dim=-1),
        torch.stack([m21 - m12, 1 + m00 - m11 - m22, m10 + m01, m02 + m20], dim=-1),
        torch.stack([m02 - m20, m10 + m01, 1 - m00 + m11 - m22, m21 + m12], dim=-1),
        torch.stack([m10 - m01, m02 + m20, m21 + m12, 1 - m00 - m11 + m22], dim=-1),
    ], dim=-2)  # fmt: skip
    best = torch.diagonal(candidates, dim1=-2, dim2=-1).argmax(dim=-1)
    chosen = torch.take_along_dim(candidates, best[..., None, None], dim=-2).squeeze(-2)
    quaternion = chosen / chosen.norm(dim=-1, keepdim=True)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    squared = (imaginary * imaginary).sum(dim=-1, keepdim=True)
    small = squared < _SMALL_SQUARED_ANGLE
    length = torch.where(small, torch.ones_like(squared), squared).sqrt()
    # angle / sin(angle / 2); the series is 2 asin(s) / s, valid for real >= 0.
    factor = torch.where(
        small, 2 + squared / 3 + 0.15 * squared * squared, 2 * torch.atan2(length, real) / length
    )
    return factor * imaginary


class _OrthogonalFactor(torch.autograd.Function):
    """U V^T of the SVD with the gradient of the polar factor.

    The gradient through the singular vectors divides by differences of squared singular values
    and is not finite where two coincide, although U V^T is smooth there. The closed form of the
    product divides by their sums instead.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        u, s, vh = torch.linalg.svd(matrix)
        ctx.save_for_backward(u, s, vh)
        return u @ vh

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        u, s, vh = ctx.saved_tensors
        inner = u.mT @ gradient @ vh.mT
        sums = (s.unsqueeze(-1) + s.unsqueeze(-2)).clamp_min(1e-6)
        return u @ ((inner - inner.mT) / sums) @ vh


def project_to_rotation(matrix: Tensor) -> Tensor:
    """Project 3x3 matrices to rotations with the sign rule of the official code.

    ``R = U V^T`` from the SVD, then ``R * det(R)``: a reflection is negated as a whole. (This is
    not the nearest rotation, which would negate one singular vector only; released checkpoints
    expect the rule used here.)

    Args:
        matrix: (..., 3, 3); half precision is computed in float32.

    Returns:
        (..., 3, 3) rotation matrices in the dtype of ``matrix``. Gradients are finite, also
        where singular values coincide.
    """
    work = matrix.float() if matrix.dtype in (torch.float16, torch.bfloat16) else matrix
    with full_precision(matrix):
        factor = _OrthogonalFactor.apply(work)
        # det is +-1 up to rounding and constant along the orthogonal matrices.
        sign = torch.linalg.det(factor.detach())
        return (factor * sign[..., None, None]).to(matrix.dtype)


def mean_rotation(rotmat: Tensor) -> Tensor:
    """The rotation nearest to the mean of several (their chordal mean).

    Unlike :func:`project_to_rotation`, which keeps the sign rule of the official code, this gives
    the nearest one also where rotations lie so far apart that their mean is a reflection.

    Args:
        rotmat: Rotation matrices; the first axis is averaged. (N, ..., 3, 3)

    Returns:
        (..., 3, 3)
    """
    with full_precision(rotmat):
        u, _, vh = torch.linalg.svd(rotmat.float().mean(0))
        sign = torch.linalg.det(u @ vh)
        flat = torch.stack((torch.ones_like(sign), torch.ones_like(sign), sign), dim=-1)
        return (u * flat[..., None, :]) @ vh


def rotation_6d_to_rotmat(values: Tensor) -> Tensor:
    """Rotation matrices of the continuous six-number form.

    The first two columns, orthonormalised by Gram-Schmidt; the third is their cross product.

    Args:
        values: First column, then second column, of any length. (..., 6)

    Returns:
        (..., 3, 3) rotation matrices.

    Reference:
        Zhou et al., On the Continuity of Rotation Representations in Neural Networks, CVPR 2019.
    """
    first = torch.nn.functional.normalize(values[..., :3], dim=-1)
    second = values[..., 3:] - (first * values[..., 3:]).sum(-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def global_rotations(local: Tensor, parents: Sequence[int]) -> Tensor:
    """Rotation of every joint against the camera, from rotations against the parent.

    Args:
        local: (B, J, 3, 3)
        parents: Parent of every joint, which comes before it; that of the root is not used.

    Returns:
        (B, J, 3, 3)
    """
    turned = [local[:, 0]]
    for joint in range(1, len(parents)):
        turned.append(turned[parents[joint]] @ local[:, joint])
    return torch.stack(turned, dim=1)


def local_rotations(turned: Tensor, parents: Sequence[int] | Tensor) -> Tensor:
    """Rotation of every joint against its parent; the inverse of :func:`global_rotations`.

    Args:
        turned: (B, J, 3, 3)
        parents: As there; as a tensor on the device, where the root is its own, nothing has to be
            copied to it.

    Returns:
        (B, J, 3, 3)
    """
    parent = turned[:, parents if isinstance(parents, Tensor) else [0, *parents[1:]]]
    return torch.cat((turned[:, :1], (parent.mT @ turned)[:, 1:]), dim=1)
