# SPDX-License-Identifier: Apache-2.0
"""``projects/free_model/lifting/looks``: labels follow every cut, turn and mirror image."""

from pathlib import Path

import numpy as np
import pytest
import torch

from projects.free_model.lifting import draw, looks
from projects.free_model.lifting.labels import Labels
from projects.free_model.lifting.small_body import SmallBody


@pytest.fixture(scope='module')
def body() -> SmallBody:
    return SmallBody()


def people(body: SmallBody, count: int) -> looks.Drawn:
    """Bodies seen by a camera without perspective, and a bright dot on a joint of each."""
    random = torch.Generator().manual_seed(4)
    pose = 0.4 * torch.randn(count, 24, 3, generator=random)
    betas = torch.zeros(count, 10)
    rotmat = looks.axis_angle_to_rotmat(pose)
    pixels = 144 + 90 * body(rotmat, betas).joints[..., :2]
    joints = torch.cat((pixels, torch.ones(count, 24, 1)), -1)
    ys, xs = torch.meshgrid(torch.arange(288) + 0.5, torch.arange(288) + 0.5, indexing='ij')
    off = (xs - pixels[:, 5, 0, None, None]) ** 2 + (ys - pixels[:, 5, 1, None, None]) ** 2
    images = (250 * (-off / 18).exp()).round().byte()[..., None].repeat(1, 1, 1, 3)
    box = torch.tensor([144.0, 144.0, 220.0]).repeat(count, 1)
    return looks.Drawn(images, pose.flatten(1), betas, joints, box)


@pytest.mark.parametrize('plain', [True, False])
def test_labels_follow_the_cut(body, plain):
    torch.manual_seed(0)
    drawn = people(body, 40)
    seen = looks.look_at(drawn, plain)
    mesh = body(seen.rotmat, seen.betas).joints[..., :2]
    places = seen.places[..., :2]
    centred = [x - x.mean(1, keepdim=True) for x in (mesh, places)]
    factor = (centred[0] * centred[1]).sum((1, 2)) / centred[0].square().sum((1, 2))
    torch.testing.assert_close(factor[:, None, None] * centred[0], centred[1], atol=2e-3, rtol=0)
    assert (factor > 0.5).all()
    # the dot is where one of the pair says: the left and the right joint change places
    light = seen.crops[:, 0].flatten(1)
    peak = light.argmax(1)
    dot = torch.stack([peak % 256, peak // 256], 1) / 128.0 - 1
    left, right = (list(looks.J24_FLIP)[5], 5) if not plain else (5, 5)
    apart = torch.minimum(*((dot - places[:, i]).norm(dim=-1) for i in (left, right)))
    assert apart[light.max(1).values > 150].max() < 0.03
    if plain:
        expected = (drawn.joints[..., :2] - 144) * (2 / 220)
        torch.testing.assert_close(places, expected, atol=1e-5, rtol=0)
    else:
        assert places.std() > 0 and not torch.equal(seen.crops, looks.look_at(drawn).crops)


def test_the_ring_keeps_the_latest():
    ring = looks.Ring(5)
    ring.put(torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3, 2, 2))
    assert ring.filled == 3 and set(ring.some(50)[0].tolist()) == {1.0, 2.0, 3.0}
    ring.put(torch.tensor([4.0, 5.0, 6.0]), torch.zeros(3, 2, 2))
    assert set(ring.some(200)[0].tolist()) == {2.0, 3.0, 4.0, 5.0, 6.0}


def test_shards_are_whole_when_they_are_seen(tmp_path: Path, monkeypatch):
    for module in (draw, looks):
        monkeypatch.setattr(module, 'SHARD', 3)
    monkeypatch.setattr(draw, 'TOGETHER', 3)
    monkeypatch.setattr(looks, 'HELD_OUT', 1)
    draw.work(tmp_path, 1, None, range(2))
    pool = looks.Pool(tmp_path, torch.device('cpu'), 0)
    assert pool.refresh() == 6 and pool.refresh() == 6
    (held,) = pool.held_out()
    images, labels = draw.draw_shard(draw.Studio('body', (288, 288), 'photo'), 1, 0)
    np.testing.assert_array_equal(held.images.numpy(), images)
    np.testing.assert_array_equal(held.joints.numpy(), labels['joints'])
    some = pool.some(4)
    assert not any(torch.equal(one, other) for other in held.images for one in some.images)
    labels = looks.look_at(some).labels(SmallBody())
    assert isinstance(labels, Labels) and torch.isfinite(labels.coarse).all()
