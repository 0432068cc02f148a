# SPDX-License-Identifier: Apache-2.0
"""Sampling between mesh levels against scipy on the official matrices."""

import numpy as np
import pytest
import torch

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.locations import ENVIRONMENT_VARIABLE
from fastmetro_mm.body.mesh_sampling import METHODS, MeshSampling


@pytest.fixture(params=['smpl', 'mano'])
def assets(request, shared_dir, monkeypatch):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    return load_body_assets(request.param, shared_dir / 'data' / 'metro')


def random_vertices(batch, count, dtype=torch.float32):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(batch, count, 3, generator=generator, dtype=dtype)


@pytest.mark.parametrize('method', METHODS)
def test_up_equals_scipy(assets, method):
    sampling = MeshSampling(assets, method).double()
    last = len(assets.num_vertices) - 1
    x = random_vertices(3, assets.num_vertices[last], torch.float64)
    expected = x.numpy()
    for level in range(last - 1, -1, -1):
        expected = np.stack([assets.up[level] @ sample for sample in expected])
    # The weights are kept in single precision, as in the official code.
    np.testing.assert_allclose(sampling.up(x, last, 0), expected, atol=3e-6)


@pytest.mark.parametrize('method', METHODS)
def test_down_equals_scipy_exactly_and_undoes_up(assets, method):
    sampling = MeshSampling(assets, method)
    last = len(assets.num_vertices) - 1
    x = random_vertices(2, assets.num_vertices[0])
    expected = x.numpy()
    for level in range(last):
        expected = np.stack([assets.down[level] @ sample for sample in expected])
    np.testing.assert_array_equal(sampling.down(x, 0, last), expected.astype(np.float32))
    coarse = random_vertices(2, assets.num_vertices[1])
    torch.testing.assert_close(sampling.down(sampling.up(coarse)), coarse, atol=1e-5, rtol=0)


@pytest.mark.parametrize('method', METHODS)
def test_gradient_is_the_transpose(assets, method):
    sampling = MeshSampling(assets, method)
    x = random_vertices(2, assets.num_vertices[1]).requires_grad_()
    weight = random_vertices(2, assets.num_vertices[0])
    (sampling.up(x) * weight).sum().backward()
    expected = np.stack([assets.up[0].T @ sample for sample in weight.numpy()])
    np.testing.assert_allclose(x.grad, expected, atol=1e-4)
    fine = weight.clone().requires_grad_()
    sampling.down(fine).sum().backward()
    picked = 2 * 3 * assets.num_vertices[1]
    assert int((fine.grad == 1).sum()) == picked
    assert int((fine.grad == 0).sum()) == fine.grad.numel() - picked


@pytest.mark.parametrize('method', METHODS)
def test_half_precision_is_computed_in_full(assets, method):
    sampling = MeshSampling(assets, method)
    x = random_vertices(2, assets.num_vertices[1]).bfloat16().requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        out = sampling.up(x)
        out.sum().backward()
    assert out.dtype == torch.float32 and x.grad.dtype == torch.bfloat16
    torch.testing.assert_close(out, sampling.up(x.float()))


def test_exports_with_a_free_batch_size(assets):
    sampling = MeshSampling(assets)
    x = random_vertices(2, assets.num_vertices[1])

    class Up(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.sampling = sampling

        def forward(self, x):
            return self.sampling.up(x)

    program = torch.export.export(
        Up(), (x,), dynamic_shapes={'x': {0: torch.export.Dim('batch', min=1, max=64)}}
    )
    other = random_vertices(5, assets.num_vertices[1])
    torch.testing.assert_close(program.module()(other), sampling.up(other))


def test_nothing_enters_a_state_dict(assets):
    assert not MeshSampling(assets).state_dict()


def test_misuse_is_named(assets):
    sampling = MeshSampling(assets)
    x = random_vertices(1, assets.num_vertices[1])
    with pytest.raises(ValueError, match=f'expected .B, {assets.num_vertices[0]}'):
        sampling.down(x)
    with pytest.raises(ValueError, match='cannot map level 0 to 1'):
        sampling.up(x, 0, 1)
    with pytest.raises(ValueError, match='cannot map level 7'):
        sampling.up(x, 7, 0)
    with pytest.raises(ValueError, match='unknown sampling method'):
        MeshSampling(assets, 'dense')
