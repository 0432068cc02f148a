# SPDX-License-Identifier: Apache-2.0
"""Train the free body model on cached evidence.

    python -m projects.free_model.lifting.train lift  EVIDENCE WORK --minutes 30
    python -m projects.free_model.lifting.train image EVIDENCE WORK --minutes 30

``lift`` trains on key points alone, which need no images; ``image`` goes on from it with the
feature maps, beside more key points. The learning rate follows the clock, so that the end comes
when it was promised on any machine. Killed, the same command goes on from the last checkpoint.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fastmetro_mm.evaluation.functional import pa_mpjpe
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat, local_rotations
from fastmetro_mm.models.heads import ParametricMeshHead
from fastmetro_mm.models.necks import KeypointNeck
from fastmetro_mm.speed.allocator import keep_freed_memory
from fastmetro_mm.structures import TokenFeatures
from fastmetro_mm.synthetic.figures import Figure
from fastmetro_mm.synthetic.photo_poses import sample_photo_pose
from projects.free_model.lifting.evidence import DEEP_SCALE
from projects.free_model.lifting.keypoint_people import KeypointPeople
from projects.free_model.lifting.labels import Labels, judge
from projects.free_model.lifting.small_body import SmallBody, keypoint_errors

POSES = 60_000
HELD_OUT = 2  # shards
RATES = {'lift': 1e-3, 'image': 5e-4}
BATCHES = {'lift': 512, 'image': 256}


class Lifter(nn.Module):
    """Neck and head of the model, without its frozen backbone."""

    def __init__(self, in_channels: int = 1280) -> None:
        super().__init__()
        self.neck = KeypointNeck(in_channels)
        self.head = ParametricMeshHead('open_body')

    def forward(
        self, keypoints: torch.Tensor, deep: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the head reads, in float32 behind a neck in bfloat16."""
        with torch.autocast(keypoints.device.type, torch.bfloat16, enabled=self.training):
            tokens = self.neck((keypoints,) if deep is None else (keypoints, deep))
        parts = (tokens.cam_token, tokens.joints, tokens.vertices)
        return self.head.read(TokenFeatures(*(part.float() for part in parts)))


class Shard:
    """Cached evidence of 500 crops."""

    def __init__(self, file: Path) -> None:
        with np.load(file) as data:
            self.keypoints, self.places, self.betas, pose, degrees = (
                torch.from_numpy(data[name]).float()
                for name in ('kp', 'j2d', 'betas', 'pose', 'rot')
            )
        self.deep = np.load(file.with_suffix('.deep.npy'), mmap_mode='r')
        self.rotmat = axis_angle_to_rotmat(pose.view(-1, 24, 3))
        zero = torch.zeros(len(degrees))
        turn = axis_angle_to_rotmat(torch.stack([zero, zero, degrees.deg2rad()], 1))
        self.rotmat[:, 0] = turn @ self.rotmat[:, 0]  # the crop was turned

    def errors(self) -> np.ndarray:
        """(N, 17, 3) errors and scores of key points, of crops that show all of them."""
        return keypoint_errors(self.keypoints, self.places).numpy()

    def pick(self, body: SmallBody, index: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, Labels]:
        """Key points, feature map in bytes, labels."""
        rotmat, betas, places = self.rotmat[index], self.betas[index], self.places[index]
        with torch.no_grad():
            mesh = body(rotmat, betas)
        labels = Labels.of(body, mesh, rotmat, betas, places[..., :2], places[..., 2] > 0)
        return self.keypoints[index], torch.from_numpy(self.deep[index]), labels


def disturb(keypoints: torch.Tensor, grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise on key points and on the frozen map, so that images are not learnt by heart."""
    count, device = len(keypoints), keypoints.device
    noise = 0.008 * torch.randn(count, 17, 2, device=device)
    lost = (torch.rand(count, 17, 1, device=device) < 0.03).float()
    noise = noise + 0.15 * lost * torch.randn(count, 17, 2, device=device)
    score = keypoints[..., 2:] * (1 - 0.6 * lost)
    keypoints = torch.cat((keypoints[..., :2] + noise, score), -1)
    channels = (torch.rand(count, grid.shape[1], 1, 1, device=device) > 0.15) / 0.85
    channels = channels * (1 + 0.15 * torch.randn(count, grid.shape[1], 1, 1, device=device))
    cells = torch.rand(count, 1, 8, 8, device=device) > 0.1
    return keypoints, grid * channels.to(grid.dtype) * cells.to(grid.dtype)


@torch.inference_mode()
def evaluate(lifter: Lifter, body: SmallBody, shards: list[Shard]) -> dict[str, float]:
    """Mean PA-MPJPE and MPJPE, mm, with the map and with key points alone."""
    lifter.eval()
    found: dict[str, list] = {}
    for shard in shards:
        for start in range(0, len(shard.betas), 250):
            index = np.arange(start, min(start + 250, len(shard.betas)))
            keypoints, deep, labels = shard.pick(body, index)
            for name, grid in (('image', deep.float() / DEEP_SCALE), ('keypoints', None)):
                turned, betas, _ = lifter(keypoints, grid)
                mesh = body(local_rotations(turned, body.parents), betas)
                pair = mesh.scored.numpy(), labels.scored.numpy()
                found.setdefault(f'{name}_pa_mpjpe', []).append(1000 * pa_mpjpe(*pair))
                error = np.linalg.norm(pair[0] - pair[1], axis=-1)
                found.setdefault(f'{name}_mpjpe', []).append(1000 * error)
    lifter.train()
    return {name: round(float(np.mean(np.concatenate(v))), 1) for name, v in found.items()}


def some_poses(file: Path) -> np.ndarray:
    """Poses of scene 'photo' in the body's own frame; drawn once."""
    if not file.exists():
        rng, joints = np.random.default_rng(1), Figure('body').rest_joints
        poses = np.stack([sample_photo_pose(rng, joints)[1] for _ in range(POSES)])
        np.save(file, poses.astype(np.float32))
    return np.load(file)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('stage', choices=sorted(RATES))
    parser.add_argument('evidence', type=Path, help='folder that evidence.py fills')
    parser.add_argument('work', type=Path)
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    keep_freed_memory()
    files = sorted(options.evidence.glob('*.npz'))
    if len(files) <= HELD_OUT:
        parser.error(
            f'{options.evidence}: {len(files)} shards, more than {HELD_OUT} are needed: '
            'run evidence.py first'
        )
    held_out = [Shard(file) for file in files[:HELD_OUT]]
    shards = [Shard(file) for file in files[HELD_OUT:]]
    train(options, held_out, shards)


def train(options: argparse.Namespace, held_out: list[Shard], shards: list[Shard]) -> None:
    """Train one stage, or go on with it."""
    body, lifter = SmallBody(), Lifter()
    optimizer = torch.optim.AdamW(lifter.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    checkpoint, steps, spent = options.work / f'{options.stage}.pth', 0, 0.0
    start = checkpoint if checkpoint.exists() else options.work / 'lift.pth'
    if start.exists():
        state = torch.load(start, weights_only=True)
        lifter.load_state_dict(state['model'])
        if start == checkpoint:
            optimizer.load_state_dict(state['optimizer'])
            steps, spent = state['steps'], state['seconds']
    elif options.stage == 'image':
        raise SystemExit(f'{start}: not found; run the stage lift first')
    errors = np.concatenate([shard.errors() for shard in shards])
    people = KeypointPeople(
        body, some_poses(options.work / 'poses.npy'), errors, options.seed + steps
    )
    rng = np.random.default_rng((options.seed, steps))
    began, total, log = time.time() - spent, 60 * options.minutes, {}
    lifter.train()
    while (share := (time.time() - began) / total) < 1:
        rate = RATES[options.stage] * min(1, (steps + 1) / 200)
        for group in optimizer.param_groups:
            group['lr'] = rate * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
        keypoints, labels = people.batch(BATCHES[options.stage])
        loss, terms, _ = judge(body, lifter(keypoints), labels)
        if options.stage == 'image':
            parts = [
                shards[number].pick(body, np.sort(rng.choice(500, 32, replace=False)))
                for number in rng.choice(len(shards), 8)
            ]
            keypoints, deep = (torch.cat([p[k] for p in parts]) for k in (0, 1))
            keypoints, deep = disturb(keypoints, deep.to(torch.bfloat16) / DEEP_SCALE)
            seen, terms, _ = judge(body, lifter(keypoints, deep), Labels.cat([p[2] for p in parts]))
            loss = seen + 0.5 * loss
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(lifter.parameters(), 1.0)
        optimizer.step()
        steps += 1
        for name, value in terms.items():
            log[name] = log.get(name, 0.0) + float(value) / 100
        if steps % 100 == 0:
            row = dict(
                stage=options.stage,
                steps=steps,
                seconds=round(time.time() - began),
                **{name: round(value, 4) for name, value in log.items()},
            )
            if steps % 500 == 0:
                save(checkpoint, lifter, optimizer, steps, time.time() - began)
                row |= evaluate(lifter, body, held_out)
            print(json.dumps(row), flush=True)
            log = {}
    save(checkpoint, lifter, optimizer, steps, time.time() - began)
    print(json.dumps(dict(stage=options.stage, steps=steps, **evaluate(lifter, body, held_out))))


def save(
    file: Path, lifter: Lifter, optimizer: torch.optim.Optimizer, steps: int, seconds: float
) -> None:
    """Write a checkpoint under another name first."""
    state = dict(
        model=lifter.state_dict(), optimizer=optimizer.state_dict(), steps=steps, seconds=seconds
    )
    torch.save(state, f'{file}.tmp')
    os.replace(f'{file}.tmp', file)


if __name__ == '__main__':
    main()
