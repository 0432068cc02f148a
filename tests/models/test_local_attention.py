# SPDX-License-Identifier: Apache-2.0
"""Attention among neighbours is the masked dense one."""

import copy

import numpy as np
import pytest
import torch

from fastmetro_mm.models.layers.transformer import Attention
from fastmetro_mm.models.necks import FastMETRONeck
from fastmetro_mm.speed.local_attention import LocalAttention, attend_locally
from fastmetro_mm.speed.neighbour_patches import mesh_patches


@pytest.fixture(scope='module', params=[('open_body', 14), ('open_hand', 21)])
def neck(request):
    name, num_joints = request.param
    torch.manual_seed(0)
    return FastMETRONeck(
        dict(name=name), in_channels=8, num_joints=num_joints, embed_dims=(32, 16),
        feedforward_dims=(32, 16), num_layers=2, num_heads=4, feature_size=(3, 3),
    ).eval()  # fmt: skip


def test_every_query_is_in_one_patch_that_sees_all_it_may():
    ring = np.eye(10, dtype=bool)
    ring |= np.roll(ring, 1, axis=0) | np.roll(ring, -1, axis=0)
    patches = mesh_patches(ring, 4)
    assert sorted(query for members, _ in patches for query in members) == list(range(10))
    # neighbours lie together: four in a row see six
    assert [len(members) for members, _ in patches] == [4, 4, 2]
    assert len(patches[0][1]) == 6
    for members, seen in patches:
        assert set(np.flatnonzero(ring[members].any(axis=0))) == set(seen)


@torch.no_grad()
def test_it_attends_as_the_dense_one(neck):
    mask = neck.attention_mask
    torch.manual_seed(1)
    dense = Attention(32, 4, 0.1).eval()
    for weight in dense.parameters():
        torch.nn.init.normal_(weight, 0, 0.3)
    local = LocalAttention(dense, mask)
    assert local.everywhere == neck.num_joints
    assert local.queries.numel() * local.keys_of_patch < 0.3 * mask.numel()
    x = torch.randn(3, len(mask), 32)
    for given, batch in ((x, 1), (x[:1], 3)):
        expected, found = (one(given, given, given, mask, batch) for one in (dense, local))
        assert found.shape == expected.shape == (3, len(mask), 32)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    # what the mask forbids has no share
    moved = x.clone()
    moved[:, ~mask[-1]] += 100
    torch.testing.assert_close(local(moved, moved, moved)[:, -1], local(x, x, x)[:, -1])


@torch.no_grad()
def test_a_neck_gives_the_same_tokens(neck):
    local = copy.deepcopy(neck)
    attend_locally(local)
    assert sum(isinstance(part, LocalAttention) for part in local.modules()) == 4
    feats = torch.randn(2, 8, 3, 3)
    expected, found = neck(feats), local(feats)
    for name in ('cam_token', 'joints', 'vertices'):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), rtol=1e-4, atol=1e-5
        )
