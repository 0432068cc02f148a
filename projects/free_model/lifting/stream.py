# SPDX-License-Identifier: Apache-2.0
"""Train the free body model on a GPU while people are being drawn.

    python -m projects.free_model.lifting.draw DRAWN --workers 14 --backgrounds PHOTOS &
    python -m projects.free_model.lifting.stream DRAWN WORK/image.pth --start WORK/lift.pth

Every look at a drawn image is a new one: moved, scaled, turned, mirrored, coloured. With the
backbone frozen its maps are kept for some steps in a ring, since looking costs more than learning.
``--tune RATE`` lets the backbone learn too: its key points are held to what the frozen one finds.
"""

import argparse
import copy
import json
import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastmetro_mm.body.joint_sets import J24_FLIP, SMPL24_FLIP
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat, local_rotations
from fastmetro_mm.models.backbones import MoveNet
from fastmetro_mm.models.backbones.movenet import INPUT_MEAN, decode_single
from projects.free_model.lifting.draw import IMAGE, SHARD
from projects.free_model.lifting.keypoint_people import MIRROR, KeypointPeople
from projects.free_model.lifting.labels import Labels, aligned_distance, judge
from projects.free_model.lifting.small_body import J24_TO_COCO17, SmallBody
from projects.free_model.lifting.train import Lifter, disturb, some_poses

CROP, HELD_OUT, BANK = 256, 4, 8_000
DECODED = ('heatmaps', 'centers', 'regressions', 'offsets')


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


class Backbone(nn.Module):
    """MoveNet, frozen, or beside a frozen one that it must agree with on key points."""

    def __init__(self, parts: tuple[str, ...], tuned: bool) -> None:
        super().__init__()
        self.net = MoveNet(parts=parts, with_keypoints=True, weights='movenet_thunder')
        self.net.init_weights()
        self.net.eval().to(memory_format=torch.channels_last)
        self.teacher = copy.deepcopy(self.net).requires_grad_(False) if tuned else None
        self.net.requires_grad_(tuned)
        self.out_channels = self.net.out_channels

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Key points (B, 17, 3), map, and how far the key points' maps are from the teacher's."""
        x = ((crops - INPUT_MEAN) / INPUT_MEAN).contiguous(memory_format=torch.channels_last)
        half = torch.autocast(x.device.type, torch.float16, enabled=x.device.type == 'cuda')
        with half:
            maps = self.net.evidence(x)
        with torch.no_grad():
            found = decode_single(*(maps[name].detach().float() for name in DECODED))
        keypoints = torch.cat((found[..., :2] * (2 / CROP) - 1, found[..., 2:]), -1)
        apart = x.new_zeros(())
        if self.teacher is not None and self.training:
            with torch.no_grad(), half:
                asked = self.teacher.evidence(x)
            for name, scale in (('heatmaps', 0.05), ('centers', 0.05), ('regressions', 3.0),
                                ('offsets', 1.0)):  # fmt: skip
                gap = (maps[name].float() - asked[name].float()) / scale
                weight = 1.0 if gap.shape[1] in (1, 17) else asked['centers'].float() + 0.02
                apart = apart + (F.smooth_l1_loss(gap, gap.new_zeros(()).expand_as(gap),
                                                  reduction='none') * weight).mean()  # fmt: skip
        return keypoints, self.net.grid(maps).float(), apart

    def train(self, mode: bool = True) -> 'Backbone':
        """Nothing of it behaves otherwise in training (its BatchNorm is folded)."""
        self.training = mode
        return self


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


@torch.inference_mode()
def evaluate(backbone: Backbone, lifter: Lifter, body: SmallBody, pool: Pool) -> dict[str, float]:
    """Mean PA-MPJPE, mm, of 1,000 people, with the map and with key points alone."""
    lifter.eval()
    backbone.eval()
    found: dict[str, list[Tensor]] = {}
    for drawn in pool.held_out():
        seen = look_at(drawn, plain=True)
        labels = seen.labels(body)
        keypoints, grid, _ = backbone(seen.crops)
        for name, map_ in (('image', grid), ('keypoints', None)):
            turned, betas, _ = lifter(keypoints, map_)
            mesh = body(local_rotations(turned, body.parents), betas)
            found.setdefault(name, []).append(aligned_distance(mesh.scored, labels.scored))
    lifter.train()
    backbone.train()
    return {f'{n}_pa_mpjpe': round(1000 * float(torch.cat(v).mean()), 1) for n, v in found.items()}


def load_start(lifter: Lifter, file: Path) -> None:
    """Weights of an earlier stage; a map of more channels starts with nothing in the new ones."""
    state = torch.load(file, weights_only=True, map_location='cpu')['model']
    state = {name: value.float() for name, value in state.items()}
    mine, name = lifter.state_dict(), 'neck.conv_1x1.weight'
    if state[name].shape != mine[name].shape:
        wider = torch.zeros_like(mine[name])
        wider[:, : state[name].shape[1]] = state[name]
        state[name] = wider
    lifter.load_state_dict(state)


def error_bank(backbone: Backbone, pool: Pool, count: int) -> np.ndarray:
    """(N, 17, 3) errors and scores of key points, of crops that show all of them."""
    rows = []
    for _ in range(-(-count // SHARD)):
        seen = look_at(pool.some(SHARD))
        with torch.inference_mode():
            keypoints, _, _ = backbone(seen.crops)
        truth = seen.places[:, J24_TO_COCO17]
        whole = (truth[..., 2] > 0).all(1)
        errors = torch.cat((keypoints[..., :2] - truth[..., :2], keypoints[..., 2:]), -1)
        rows.append(errors[whole].cpu().numpy())
    return np.concatenate(rows)


def build_parser() -> argparse.ArgumentParser:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('drawn', type=Path, help='folder that draw.py fills')
    parser.add_argument('target', type=Path, help='checkpoint to write')
    parser.add_argument('--start', type=Path, help='checkpoint of an earlier stage')
    parser.add_argument('--minutes', type=float, default=8)
    parser.add_argument('--rate', type=float, default=5e-4)
    parser.add_argument('--tune', type=float, help='rate of the backbone, which is frozen without')
    parser.add_argument('--parts', nargs='+', default=['deep'], help='of the backbone, see MoveNet')
    parser.add_argument('--people', type=int, default=1024, help='without images, a step')
    parser.add_argument('--natural', type=float, default=0.0, help='share of real motions in them')
    parser.add_argument('--batch', type=int, default=1024, help='with images, a step')
    parser.add_argument('--fresh', type=int, default=256, help='new looks a step')
    parser.add_argument('--ring', type=int, default=60_000, help='looks that are kept')
    parser.add_argument('--wait', type=int, default=20_000, help='drawn people before it starts')
    parser.add_argument('--report', type=float, default=30.0, help='seconds between reports')
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--seed', type=int, default=0)
    return parser


def main() -> None:
    """Command line."""
    options = build_parser().parse_args()
    device = torch.device(options.device)
    torch.manual_seed(options.seed)
    pool = Pool(options.drawn, device, options.seed)
    began = time.time()
    while pool.refresh() < options.wait:
        time.sleep(1)
        if time.time() - began > 3600:
            raise SystemExit(f'{options.drawn}: fewer than {options.wait} people after an hour')
    options.target.parent.mkdir(parents=True, exist_ok=True)
    train(options, pool, device)


def train(options: argparse.Namespace, pool: Pool, device: torch.device) -> None:
    """Train from ``--start`` for ``--minutes``."""
    tuned = options.tune is not None
    backbone = Backbone(tuple(options.parts), tuned).to(device)
    body, lifter = SmallBody().to(device), Lifter(backbone.out_channels)
    if options.start:
        load_start(lifter, options.start)
    lifter.to(device)
    groups = [dict(params=list(lifter.parameters()), share=options.rate)]
    if tuned:
        groups.append(dict(params=list(backbone.net.parameters()), share=options.tune))
    optimizer = torch.optim.AdamW(groups, lr=options.rate, weight_decay=0.01, fused=True)
    weights = [p for group in groups for p in group['params']]
    scaler = torch.amp.GradScaler(device.type, enabled=tuned and device.type == 'cuda')
    poses = some_poses(options.target.parent / 'poses.npy')
    errors = error_bank(backbone, pool, min(BANK, options.wait))
    people = KeypointPeople(body, poses, errors, options.seed, options.natural)
    ring, steps = Ring(options.ring), 0
    coming = pool.ahead(options.batch if tuned else options.fresh)
    lifter.train()
    backbone.train()
    began, total, log, reported = time.time(), 60 * options.minutes, {}, 0.0
    while (share := (time.time() - began) / total) < 1:
        factor = min(1, (steps + 1) / 200) * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
        for group in optimizer.param_groups:
            group['lr'] = group['share'] * factor
        if tuned:
            seen = look_at(next(coming))
            keypoints, grid, apart = backbone(seen.crops)
            labels = seen.labels(body)
        else:
            for _ in range(1 if ring.filled else 8):
                seen = look_at(next(coming))
                with torch.no_grad():
                    keypoints, grid, apart = backbone(seen.crops)
                ring.put(keypoints, grid.half(), seen.rotmat, seen.betas, seen.places)
            keypoints, grid, *truth = ring.some(options.batch)
            labels = Look(keypoints, *truth).labels(body)
        keypoints, grid = disturb(keypoints, grid.to(torch.bfloat16))
        loss, terms, _ = judge(body, lifter(keypoints, grid), labels)
        drawn, their_labels = people.batch(options.people)
        loss = loss + 0.5 * judge(body, lifter(drawn), their_labels)[0] + 0.5 * apart
        terms['apart'] = apart.detach()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(weights, 1.0)
        scaler.step(optimizer)
        scaler.update()
        steps += 1
        for name, value in terms.items():
            log[name] = log.get(name, 0.0) + value
        if steps % 50 == 0:
            there = pool.refresh()
            if time.time() - began - reported > options.report:
                reported = time.time() - began
                row = dict(steps=steps, seconds=round(reported), drawn=there)
                row |= {name: round(float(value) / steps, 4) for name, value in log.items()}
                print(json.dumps(row | evaluate(backbone, lifter, body, pool)), flush=True)
                save(options.target, backbone, lifter, tuned)
    save(options.target, backbone, lifter, tuned)
    print(json.dumps(dict(steps=steps, **evaluate(backbone, lifter, body, pool))), flush=True)


def save(file: Path, backbone: Backbone, lifter: Lifter, tuned: bool) -> None:
    """Half precision, as it ships; a tuned backbone beside it."""
    files = {file: lifter.state_dict()}
    if tuned:
        files[file.with_suffix('.backbone.pth')] = backbone.net.net.state_dict()
    for target, state in files.items():
        half = {name: value.half().cpu() for name, value in state.items()}
        torch.save(dict(model=half), f'{target}.tmp')
        os.replace(f'{target}.tmp', target)


if __name__ == '__main__':
    main()
