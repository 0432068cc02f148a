# SPDX-License-Identifier: Apache-2.0
"""Rotations against hand-computed cases and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from fastmetro_mm.geometry.rotation import (
    axis_angle_to_rotmat,
    project_to_rotation,
    rotmat_to_axis_angle,
)


def vectors(count=200, scale=1.0):
    generator = torch.Generator().manual_seed(2)
    return scale * torch.randn(count, 3, generator=generator, dtype=torch.float64)


def test_quarter_turn_about_z_takes_x_to_y():
    matrix = axis_angle_to_rotmat(torch.tensor([0.0, 0.0, math.pi / 2]))
    torch.testing.assert_close(matrix @ torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0]))
    assert torch.equal(axis_angle_to_rotmat(torch.zeros(2, 3)), torch.eye(3).expand(2, 3, 3))


@pytest.mark.parametrize('scale', [1e-9, 1e-3, 0.0055, 0.0065, 0.1, 1.0, 3.0])
def test_matrices_equal_scipy(scale):
    aa = vectors(scale=scale)
    expected = Rotation.from_rotvec(aa.numpy()).as_matrix()
    np.testing.assert_allclose(axis_angle_to_rotmat(aa), expected, atol=1e-14)
    single = axis_angle_to_rotmat(aa.float())
    np.testing.assert_allclose(single, expected, atol=2e-6)


@pytest.mark.parametrize('scale', [1e-9, 1e-4, 0.02, 1.0])
def test_round_trip(scale):
    aa = vectors(scale=scale).reshape(10, 20, 3)
    aa = aa * (aa.norm(dim=-1, keepdim=True) < math.pi)
    back = rotmat_to_axis_angle(axis_angle_to_rotmat(aa))
    torch.testing.assert_close(back, aa, atol=1e-12, rtol=1e-10)


def test_half_turns_keep_their_axis():
    axes = torch.nn.functional.normalize(vectors(), dim=-1)
    axes = torch.cat([axes, torch.eye(3, dtype=torch.float64)])
    back = rotmat_to_axis_angle(axis_angle_to_rotmat(math.pi * axes))
    torch.testing.assert_close(back.norm(dim=-1), torch.full((len(axes),), math.pi).double())
    cosines = (back / math.pi * axes).sum(-1)
    torch.testing.assert_close(cosines.abs(), torch.ones(len(axes)).double())


def test_gradients_at_zero_and_elsewhere():
    for aa in (torch.zeros(2, 3), torch.full((1, 3), 1e-7), vectors(3), vectors(3, 3.0)):
        aa = aa.double().requires_grad_()
        assert torch.autograd.gradcheck(axis_angle_to_rotmat, aa)
    for aa in (torch.zeros(1, 3), vectors(3), torch.tensor([[math.pi - 1e-3, 0, 0]])):
        matrix = axis_angle_to_rotmat(aa.double()).requires_grad_()
        (gradient,) = torch.autograd.grad(rotmat_to_axis_angle(matrix).sum(), matrix)
        assert torch.isfinite(gradient).all()


def test_projection_follows_the_official_sign_rule():
    generator = torch.Generator().manual_seed(6)
    m = torch.randn(4, 24, 3, 3, generator=generator, dtype=torch.float64)
    expected = np.empty(m.shape)
    for index in np.ndindex(4, 24):
        u, _, vt = np.linalg.svd(m[index].numpy())
        expected[index] = u @ vt * np.linalg.det(u @ vt)
    np.testing.assert_allclose(project_to_rotation(m), expected, atol=1e-10)
    torch.testing.assert_close(torch.linalg.det(project_to_rotation(m)), torch.ones(4, 24).double())


def test_projection_keeps_rotations_and_negates_reflections():
    rotation = axis_angle_to_rotmat(vectors(5))
    torch.testing.assert_close(project_to_rotation(rotation), rotation)
    torch.testing.assert_close(project_to_rotation(2.5 * rotation), rotation)
    torch.testing.assert_close(project_to_rotation(-rotation), rotation)


def test_projection_gradient():
    generator = torch.Generator().manual_seed(7)
    m = torch.randn(6, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(project_to_rotation, m)
    # It equals the gradient through the singular vectors where that one exists.
    weight = torch.randn(6, 3, 3, generator=generator, dtype=torch.float64)
    (ours,) = torch.autograd.grad((project_to_rotation(m) * weight).sum(), m)
    u, _, vh = torch.linalg.svd(m)
    plain = u @ vh
    plain = plain * torch.linalg.det(plain)[:, None, None]
    (reference,) = torch.autograd.grad((plain * weight).sum(), m)
    torch.testing.assert_close(ours, reference, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('matrix', [torch.eye(3), torch.zeros(3, 3), torch.ones(3, 3)])
def test_projection_gradient_is_finite_for_equal_singular_values(matrix):
    m = matrix.clone().requires_grad_()
    (project_to_rotation(m) * torch.arange(9.0).reshape(3, 3)).sum().backward()
    assert torch.isfinite(m.grad).all()


def test_projection_of_half_precision():
    m = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(8)).bfloat16()
    out = project_to_rotation(m)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, project_to_rotation(m.float()).bfloat16())
