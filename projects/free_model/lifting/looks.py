# SPDX-License-Identifier: Apache-2.0
"""Looks at drawn people, each a new one: moved, scaled, turned, mirrored, coloured."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fastmetro_mm.body.joint_sets import J24_FLIP, SMPL24_FLIP
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from projects.free_model.lifting.draw import IMAGE, SHARD
from projects.free_model.lifting.keypoint_people import MIRROR
from projects.free_model.lifting.labels import Labels
from projects.free_model.lifting.small_body import SmallBody

CROP, HELD_OUT = 256, 4  # pixels; shards that are not trained on


@dataclass
class Drawn:
    """Drawn people: images (B, 288, 288, 3) in bytes, and labels on them.

    Attributes:
        images: RGB.
        pose: Axis-angle, the root against the camera. (B, 24, 3)
        betas: (B, 10)
        joints: x, y in pixels and whether the image shows it. (B, 24, 3)
        box: Centre and longer side, pixels. (B, 3)
    """

    images: Tensor
    pose: Tensor
    betas: Tensor
    joints: Tensor
    box: Tensor


class Pool:
    """The shards that are whole so far."""

    def __init__(self, folder: Path, device: torch.device, seed: int) -> None:
        self.folder, self.device = folder, device
        self.images: list[np.ndarray] = []
        self.rows: dict[str, list[np.ndarray]] = {}
        self.known: set[Path] = set()
        self.rng = np.random.default_rng(seed)

    def refresh(self) -> int:
        """Take in new shards; how many people there are now."""
        for file in sorted(set(self.folder.glob('*.npz')) - self.known):
            self.known.add(file)
            self.images.append(np.load(file.with_suffix('.images.npy'), mmap_mode='r'))
            with np.load(file) as data:
                for name in ('pose', 'betas', 'joints', 'box'):
                    self.rows.setdefault(name, []).append(data[name])
        return SHARD * len(self.images)

    def pick(self, shard: np.ndarray, row: np.ndarray) -> Drawn:
        """Rows of shards, on the device."""

        def put(parts: list[np.ndarray]) -> Tensor:
            joined = torch.from_numpy(
                np.stack([parts[s][r] for s, r in zip(shard, row, strict=True)])
            )
            if self.device.type == 'cuda':
                return joined.pin_memory().to(self.device, non_blocking=True)
            return joined

        return Drawn(
            put(self.images), *(put(self.rows[n]) for n in ('pose', 'betas', 'joints', 'box'))
        )

    def some(self, count: int) -> Drawn:
        """Random ones that are trained on."""
        shards = self.rng.integers(HELD_OUT, len(self.images), count)
        return self.pick(shards, self.rng.integers(0, SHARD, count))

    def ahead(self, count: int) -> Iterator[Drawn]:
        """Endless random ones; the next are fetched while these are used."""
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(self.some, count)
            while True:
                now, coming = coming.result(), thread.submit(self.some, count)
                yield now

    def held_out(self) -> Iterator[Drawn]:
        """Those that are not."""
        for shard in range(HELD_OUT):
            yield self.pick(np.full(SHARD, shard), np.arange(SHARD))


@dataclass
class Look:
    """A look at drawn people.

    Attributes:
        crops: RGB, 0 to 255. (B, 3, 256, 256)
        rotmat: Rotations against the parent, the root against the camera. (B, 24, 3, 3)
        betas: (B, 10)
        places: Joints on the crop, x and y in [-1, 1], and whether it shows them. (B, 24, 3)
    """

    crops: Tensor
    rotmat: Tensor
    betas: Tensor
    places: Tensor

    def labels(self, body: SmallBody) -> Labels:
        """What a prediction is judged by."""
        with torch.no_grad():
            mesh = body(self.rotmat, self.betas)
        return Labels.of(
            body, mesh, self.rotmat, self.betas, self.places[..., :2], self.places[..., 2] > 0
        )


@torch.no_grad()
def look_at(drawn: Drawn, plain: bool = False) -> Look:
    """Cut crops out of images, each in a way of its own, or plainly around the box."""
    device, count = drawn.images.device, len(drawn.images)
    amount = 0.0 if plain else 1.0

    def normal(*shape: int) -> Tensor:
        return amount * torch.randn(count, *shape, device=device)

    def chance(share: float) -> Tensor:
        return torch.rand(count, device=device) < amount * share

    side = drawn.box[:, 2] * (0.08 * normal()).exp()
    center = drawn.box[:, :2] + 0.03 * side[:, None] * normal(2)
    degrees = torch.where(chance(0.3), (15 * normal()).clamp(-40, 40), 0.0)
    mirrored = chance(0.5)
    angle = degrees.deg2rad()
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    # places on the crop, [-1, 1]: turned and scaled, then mirrored
    sign = torch.where(mirrored, -1.0, 1.0)
    flip = torch.stack([sign, torch.ones_like(sign)], 1)
    cells = (torch.arange(CROP, device=device) + 0.5) * (2 / CROP) - 1
    grid = torch.stack(torch.meshgrid(cells, cells, indexing='xy'), -1).view(1, -1, 2)
    source = center[:, None] + (side[:, None, None] / 2) * ((grid * flip[:, None]) @ turn)
    images = drawn.images.permute(0, 3, 1, 2).float()
    crops = F.grid_sample(
        images, (source * (2 / IMAGE) - 1).view(-1, CROP, CROP, 2), align_corners=False
    )
    color = torch.where(chance(0.5)[:, None], 0.7 + 0.6 * torch.rand(count, 3, device=device), 1.0)
    crops = (crops * color[:, :, None, None]).clamp(0, 255).round()
    places = (drawn.joints[..., :2] - center[:, None]) @ turn.mT * (2 / side)[:, None, None]
    places = torch.cat((places * flip[:, None], drawn.joints[..., 2:]), -1)
    places = torch.where(mirrored[:, None, None], places[:, list(J24_FLIP)], places)
    pose = drawn.pose.view(-1, 24, 3)
    other = pose[:, list(SMPL24_FLIP)] * MIRROR.to(device)
    rotmat = axis_angle_to_rotmat(torch.where(mirrored[:, None, None], other, pose))
    zero = torch.zeros_like(angle)
    rolled = axis_angle_to_rotmat(torch.stack([zero, zero, sign * angle], 1))
    rotmat = torch.cat((rolled[:, None] @ rotmat[:, :1], rotmat[:, 1:]), 1)
    return Look(crops, rotmat, drawn.betas, places)


class Ring:
    """The latest looks with what the frozen backbone saw."""

    def __init__(self, size: int) -> None:
        self.size, self.filled, self.next = size, 0, 0
        self.parts: list[Tensor] = []

    def put(self, *parts: Tensor) -> None:
        """Replace the oldest."""
        if not self.parts:
            self.parts = [p.new_zeros((self.size, *p.shape[1:])) for p in parts]
        rows = (self.next + torch.arange(len(parts[0]), device=parts[0].device)) % self.size
        for mine, new in zip(self.parts, parts, strict=True):
            mine[rows] = new
        self.next = (self.next + len(rows)) % self.size
        self.filled = min(self.size, self.filled + len(rows))

    def some(self, count: int) -> list[Tensor]:
        """Random rows."""
        rows = torch.randint(self.filled, (count,), device=self.parts[0].device)
        return [part[rows] for part in self.parts]
