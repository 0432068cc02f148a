# SPDX-License-Identifier: Apache-2.0
"""Train the free body model on a GPU while people are being drawn.

    python -m projects.free_model.lifting.draw DRAWN --workers 14 --backgrounds PHOTOS &
    python -m projects.free_model.lifting.stream DRAWN WORK/image.pth --start WORK/lift.pth

Every look at a drawn image is a new one: moved, scaled, turned, mirrored, coloured. With the
backbone frozen its maps are kept for some steps in a ring, since looking costs more than learning.
``--tune RATE`` lets the backbone learn too: its key points are held to what the frozen one finds.
``--batch 0`` trains on people without images alone, who have MoveNet's errors on the drawn ones.
"""

import argparse
import copy
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastmetro_mm.geometry.rotation import local_rotations
from fastmetro_mm.models.backbones import MoveNet
from fastmetro_mm.models.backbones.movenet import INPUT_MEAN, decode_single
from projects.free_model.lifting.draw import SHARD
from projects.free_model.lifting.keypoint_people import KeypointPeople
from projects.free_model.lifting.labels import Labels, aligned_distance, judge
from projects.free_model.lifting.looks import CROP, Drawn, Look, Pool, Ring, look_at
from projects.free_model.lifting.small_body import SmallBody, keypoint_errors
from projects.free_model.lifting.train import Lifter, disturb, some_poses

BANK = 8_000  # looks that tell MoveNet's errors
DECODED = ('heatmaps', 'centers', 'regressions', 'offsets')


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


@dataclass
class Tuned:
    """What a backbone that learns sees of drawn people, once."""

    backbone: Backbone
    body: SmallBody

    def __call__(self, drawn: Drawn) -> tuple[Tensor, Tensor, Tensor, Labels]:
        """Key points, map, distance from the teacher, labels."""
        seen = look_at(drawn)
        return *self.backbone(seen.crops), seen.labels(self.body)


class Frozen:
    """What a frozen backbone sees: some new looks, and as many of the latest as are asked for."""

    def __init__(self, backbone: Backbone, body: SmallBody, options: argparse.Namespace) -> None:
        self.backbone, self.body, self.batch = backbone, body, options.batch
        self.ring = Ring(options.ring)

    @torch.no_grad()
    def __call__(self, drawn: Drawn) -> tuple[Tensor, Tensor, Tensor, Labels]:
        """Key points, map, nothing, labels."""
        seen = look_at(drawn)
        keypoints, grid, apart = self.backbone(seen.crops)
        self.ring.put(keypoints, grid.half(), seen.rotmat, seen.betas, seen.places)
        keypoints, grid, *truth = self.ring.some(self.batch)
        return keypoints, grid, apart, Look(keypoints, *truth).labels(self.body)


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
        rows.append(keypoint_errors(keypoints, seen.places).cpu().numpy())
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
    parser.add_argument('--spread', type=float, default=1.0, help='of the other poses of theirs')
    parser.add_argument('--batch', type=int, default=1024, help='with images, a step; may be 0')
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
    people = KeypointPeople(body, poses, errors, options.seed, options.natural, options.spread)
    coming = pool.ahead(options.batch if tuned else options.fresh)
    views = Tuned(backbone, body) if tuned else Frozen(backbone, body, options)
    steps = 0
    lifter.train()
    backbone.train()
    began, total, log, reported = time.time(), 60 * options.minutes, {}, 0.0
    while (share := (time.time() - began) / total) < 1:
        factor = min(1, (steps + 1) / 200) * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
        for group in optimizer.param_groups:
            group['lr'] = group['share'] * factor
        keypoints, labels = people.batch(options.people)
        loss, terms, _ = judge(body, lifter(keypoints), labels)
        if options.batch:
            keypoints, grid, apart, labels = views(next(coming))
            keypoints, grid = disturb(keypoints, grid.to(torch.bfloat16))
            seen, terms, _ = judge(body, lifter(keypoints, grid), labels)
            loss = seen + 0.5 * loss + 0.5 * apart
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
