# SPDX-License-Identifier: Apache-2.0
"""The CPU operators compute what PyTorch's own compute; dropout drops what it says."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fastmetro_mm.models.layers.transformer import Attention, Transformer
from fastmetro_mm.speed import cpu_training
from fastmetro_mm.speed.cpu_training import (
    Dropout,
    Linear,
    attend,
    attend_near,
    draw_dropped,
    relu_dropout,
    train_on_cpu,
    train_plainly,
)
from fastmetro_mm.speed.neighbour_patches import patches_of


@pytest.mark.parametrize('by_mkl', [False, True])
def test_linear_equals_pytorchs_forwards_and_backwards(by_mkl, monkeypatch):
    monkeypatch.setattr(cpu_training, 'mkl_is_fast', lambda: by_mkl)
    torch.manual_seed(0)
    ours = Linear(40, 24)
    x = torch.randn(3, 17, 40)
    gradient = torch.randn(3, 17, 24)
    results = []
    for layer in (ours, nn.Linear(40, 24)):
        layer.load_state_dict(ours.state_dict())
        leaf = x.clone().requires_grad_()
        out = layer(leaf)
        out.backward(gradient)
        results.append((out, leaf.grad, layer.weight.grad, layer.bias.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_linear_is_used_while_training_and_not_under_autocast(monkeypatch):
    monkeypatch.setattr(cpu_training, 'mkl_is_fast', lambda: False)
    calls = []
    original = cpu_training._times
    monkeypatch.setattr(cpu_training, '_times', lambda *args: calls.append(1) or original(*args))
    layer, x = Linear(8, 8), torch.randn(2, 8)
    layer(x)
    assert len(calls) == 1
    with torch.no_grad():
        layer(x)
    with torch.autocast('cpu', torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert len(calls) == 1


@pytest.mark.parametrize('probability', [0.1, 0.5, 0.9])
def test_mask_drops_the_share_and_repeats_with_the_seed(probability):
    torch.manual_seed(3)
    dropped, factor = draw_dropped((500, 401), probability)
    # five standard deviations of a binomial
    deviation = (probability * (1 - probability) / dropped.numel()) ** 0.5
    assert dropped.float().mean().item() == pytest.approx(probability, abs=5 * deviation)
    assert factor == pytest.approx(1 / (1 - probability), rel=1e-4)
    # each of the four values cut from a word is as likely to drop
    for lane in range(4):
        share = dropped.flatten()[lane::4].float().mean().item()
        assert share == pytest.approx(probability, abs=10 * deviation)
    torch.manual_seed(3)
    assert torch.equal(draw_dropped((500, 401), probability)[0], dropped)


def test_dropout_scales_and_sends_gradients_where_it_kept():
    torch.manual_seed(0)
    layer = Dropout(0.25)
    x = torch.rand(50, 50).add(1).requires_grad_()
    out = layer(x)
    kept = out != 0
    torch.testing.assert_close(out[kept], x[kept] * 4 / 3)
    out.sum().backward()
    torch.testing.assert_close(x.grad, kept * (4 / 3))
    layer.eval()
    assert layer(x) is x or torch.equal(layer(x), x)


def test_relu_dropout_is_relu_then_dropout():
    torch.manual_seed(0)
    dropout = Dropout(0.25)
    x = torch.randn(80, 80).requires_grad_()
    out = relu_dropout(x, dropout)
    assert (out[x <= 0] == 0).all()
    kept = out != 0
    torch.testing.assert_close(out[kept], x[kept] * 4 / 3)
    assert kept[x > 0].float().mean() == pytest.approx(0.75, abs=0.03)
    out.sum().backward()
    torch.testing.assert_close(x.grad, kept * (4 / 3))
    dropout.eval()
    assert torch.equal(relu_dropout(x.clone(), dropout), F.relu(x))


@pytest.mark.parametrize('shared', [False, True], ids=['by sample', 'shared'])
@pytest.mark.parametrize('masked', [False, True])
def test_attention_has_the_gradients_of_the_formula(shared, masked, monkeypatch):
    """With a fixed dropout mask, against autograd through softmax(q k / sqrt(c)) v in float64."""
    torch.manual_seed(1)
    batch, heads, queries, keys, width = 3, 2, 5, 7, 4
    first = 1 if shared else batch
    q, k, v = (
        torch.randn(first, heads, rows, width, dtype=torch.float64).requires_grad_()
        for rows in (queries, keys, keys)
    )
    mask = torch.rand(queries, keys) > 0.3 if masked else None
    if masked:
        mask[:, 0] = True
    dropped = torch.rand(batch, heads, queries, keys) < 0.2
    monkeypatch.setattr(cpu_training, 'draw_dropped', lambda *_: (dropped.clone(), 1.25))
    gradient = torch.randn(batch, heads, queries, width, dtype=torch.float64)

    out = attend(q, k, v, mask, 0.2, batch)
    ours = torch.autograd.grad(out, (q, k, v), gradient)
    scores = q @ k.mT / width**0.5
    if masked:
        scores = scores.masked_fill(~mask, -torch.inf)
    expected = (scores.softmax(-1) * ~dropped * 1.25) @ v
    theirs = torch.autograd.grad(expected, (q, k, v), gradient)
    torch.testing.assert_close(out, expected)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def ring_mask(joints: int, vertices: int) -> torch.Tensor:
    """Vertices in a ring look at joints, themselves and those beside them; joints look at all."""
    mask = torch.ones(joints + vertices, joints + vertices, dtype=torch.bool)
    ring = torch.eye(vertices, dtype=torch.bool)
    mask[joints:, joints:] = ring | ring.roll(1, 0) | ring.roll(-1, 0)
    return mask


@pytest.mark.parametrize('shared', [False, True], ids=['by sample', 'shared'])
def test_attention_among_neighbours_is_the_masked_one(shared, monkeypatch):
    """Nothing dropped, against autograd through the formula in float64."""
    torch.manual_seed(2)
    mask, batch, width = ring_mask(3, 150), 2, 4
    cut = patches_of(mask.numpy())
    assert cut.joints == 3 and cut.share < 0.2
    q, k, v = (
        torch.randn(1 if shared else batch, 2, len(mask), width, dtype=torch.float64)
        .requires_grad_()
        for _ in range(3)
    )  # fmt: skip
    gradient = torch.randn(batch, 2, len(mask), width, dtype=torch.float64)
    nothing = lambda shape, probability: (torch.zeros(shape, dtype=torch.bool), 1.0)  # noqa: E731
    monkeypatch.setattr(cpu_training, 'draw_dropped', nothing)

    out = attend_near(q, k, v, cut, 0.1, batch)
    ours = torch.autograd.grad(out, (q, k, v), gradient)
    scores = (q @ k.mT / width**0.5).masked_fill(~mask, -torch.inf)
    expected = (scores.softmax(-1) @ v).expand(batch, -1, -1, -1)
    theirs = torch.autograd.grad(expected, (q, k, v), gradient)
    torch.testing.assert_close(out, expected)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_attention_among_neighbours_drops_each_weight_as_often():
    """Values that tell the tokens apart show every weight; gradients flow through what is kept."""
    torch.manual_seed(3)
    mask = ring_mask(2, 100)
    size = len(mask)
    q, k = (torch.randn(4, 1, size, size).requires_grad_() for _ in range(2))
    v = torch.eye(size).expand(4, 1, size, size).clone().requires_grad_()
    found = attend_near(q, k, v, patches_of(mask.numpy()), 0.25, 4)
    weights = (q @ k.mT / size**0.5).masked_fill(~mask, -torch.inf).softmax(-1)
    kept = found != 0
    assert not kept[..., ~mask].any()
    torch.testing.assert_close(found[kept], weights[kept] * 4 / 3, rtol=1e-4, atol=1e-7)
    assert kept[..., mask].float().mean() == pytest.approx(0.75, abs=0.03)
    gradient = torch.randn_like(found)
    ours = torch.autograd.grad(found, (q, k, v), gradient)
    theirs = torch.autograd.grad(weights * kept * 4 / 3 @ v, (q, k, v), gradient)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_masked_decoder_trains_among_neighbours(monkeypatch):
    calls = []
    original = cpu_training.attend_near
    monkeypatch.setattr(
        cpu_training, 'attend_near', lambda *args: calls.append(1) or original(*args)
    )
    attention = Attention(8, 2, 0.1)
    train_on_cpu(attention)
    tokens, mask = torch.randn(2, 153, 8), ring_mask(3, 150)
    assert attention(tokens, tokens, tokens, mask).shape == tokens.shape
    assert len(calls) == 1
    attention(tokens, tokens, tokens)
    attention.eval()(tokens, tokens, tokens, mask)
    with torch.no_grad():
        attention.train()(tokens, tokens, tokens, mask)
    assert len(calls) == 1


def test_attention_without_dropout_and_with_shared_tokens():
    q = torch.randn(1, 2, 5, 4)
    memory = torch.randn(3, 2, 7, 4)
    out = attend(q, memory, memory, None, 0.0, 3)
    expected = F.scaled_dot_product_attention(q.expand(3, -1, -1, -1), memory, memory)
    torch.testing.assert_close(out, expected)


def test_the_pass_changes_classes_only_and_goes_back():
    torch.manual_seed(0)
    network = Transformer(16, 2, 32, 0.0, 1)
    tokens, memory = torch.randn(2, 5, 16), torch.randn(2, 4, 16)
    mask = torch.ones(5, 5, dtype=torch.bool)

    def run():
        network.zero_grad()
        encoded = network.encoder(memory, torch.zeros(4, 16))
        out = network.decoder(tokens, encoded, torch.zeros(4, 16), mask)
        out.square().sum().backward()
        return [out.detach(), *(p.grad.clone() for p in network.parameters())]

    before = [(name, id(module), type(module)) for name, module in network.named_modules()]
    weights = [(name, id(parameter)) for name, parameter in network.named_parameters()]
    plain = run()
    train_on_cpu(network)
    assert {type(m).__module__ for m in network.modules()} >= {cpu_training.__name__}
    assert [(name, id(parameter)) for name, parameter in network.named_parameters()] == weights
    for one, other in zip(run(), plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    train_plainly(network)
    assert [(name, id(module), type(module)) for name, module in network.named_modules()] == before
    assert cpu_training.__name__ not in {type(m).__module__ for m in network.modules()}
