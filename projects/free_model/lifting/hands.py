# SPDX-License-Identifier: Apache-2.0
"""Train the free hand model: key points of drawn hands, lifted to the open hand.

    python -m projects.free_model.lifting.hands WORK --minutes 10

Draws some thousand hands to learn how MediaPipe's landmark network errs (kept in WORK), then
trains on key points alone: gestures, views and cameras drawn by the batch.
"""

import argparse
import json
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from fastmetro_mm.body.joint_sets import HAND21_WRIST
from fastmetro_mm.body.mesh_body import build_body
from fastmetro_mm.datasets.transforms.crop import crop_fast
from fastmetro_mm.datasets.transforms.crop_geometry import (
    apply_affine,
    crop_to_image_matrix,
    crop_window,
    invert_affine,
)
from fastmetro_mm.evaluation.functional import pa_mpjpe
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat, local_rotations
from fastmetro_mm.models.backbones import HandLandmark
from fastmetro_mm.models.heads import ParametricMeshHead
from fastmetro_mm.models.necks import KeypointNeck
from fastmetro_mm.speed.allocator import keep_freed_memory
from fastmetro_mm.synthetic.figures import Figure
from fastmetro_mm.synthetic.hand_poses import plan_hand
from fastmetro_mm.synthetic.scene import Studio
from projects.free_model.lifting.labels import Labels, judge
from projects.free_model.lifting.small_body import SmallMesh

CROP, POSES, DRAWN, HELD_OUT, BATCH, RATE = 224, 40_000, 1_500, 300, 512, 1e-3


class WholeHand(nn.Module):
    """The open hand with the interface of ``SmallBody``; its 778 vertices are few enough."""

    def __init__(self) -> None:
        super().__init__()
        self.body = build_body('open_hand')
        self.parents = self.body.require_model().parents
        mean = self.body.model.pose_mean
        self.mean = torch.zeros(48) if mean is None else mean

    def forward(self, rotmat: Tensor, betas: Tensor) -> SmallMesh:
        """Pose it: rotations against the parent (B, 16, 3, 3), betas (B, 10)."""
        vertices, joints = self.body.centre(self.body.pose(rotmat, betas).vertices)
        return SmallMesh(vertices, vertices, joints, joints)

    def rotations(self, pose: Tensor) -> Tensor:
        """Matrices (B, 16, 3, 3) of labels (B, 48), which are relative to the mean pose."""
        return axis_angle_to_rotmat((pose + self.mean).view(-1, 16, 3))


class HandLifter(nn.Module):
    """Neck and head of the hand model, without its frozen backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.neck = KeypointNeck(
            in_channels=None, num_keypoints=21, num_joints=16, hidden_dims=384, embed_dims=64
        )
        self.head = ParametricMeshHead('open_hand', in_channels=64)

    def forward(self, keypoints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the head reads."""
        return self.head.read(self.neck((keypoints,)))


def draw_hands(count: int, seed: int) -> dict[str, np.ndarray]:
    """Drawn hands as the landmark network sees them.

    Returns:
        ``pose`` (N, 48), ``betas`` (N, 10), ``seen`` and ``true`` key points (N, 21, 3): x and y
        on the crop in [-1, 1], the depth from the wrist in the same unit.
    """
    rng = np.random.default_rng(seed)
    studio = Studio('hand', (256, 256), 'street')
    network = HandLandmark(parts=(), with_keypoints=True, weights='hand_landmark')
    network.init_weights()
    network.eval()
    rows: dict[str, list] = {name: [] for name in ('pose', 'betas', 'seen', 'true')}
    for _ in range(count // 50):
        plans = [studio.plan(rng) for _ in range(50)]
        crops = []
        for plan, posed in zip(plans, studio.pose(plans), strict=True):
            sample = studio.draw(rng, plan, posed)
            image = cv2.imdecode(np.frombuffer(sample.image, np.uint8), cv2.IMREAD_COLOR)
            label = sample.label
            center = np.array(label['center']) + rng.normal(0, 6, 2)
            window = crop_window(center, label['scale'] * np.exp(rng.normal(0, 0.1)), CROP)
            to_image = crop_to_image_matrix(window, CROP, 0.0, False)
            crops.append(crop_fast(image[..., ::-1].copy(), to_image.copy(), CROP))
            to_crop = invert_affine(to_image)
            places = apply_affine(np.array(label['2d_joints'])[:, :2], to_crop) * (2 / CROP) - 1
            depth = np.array(label['3d_joints'])[:, 2]
            pixels_a_metre = label['camera']['focal'] / label['camera']['root'][2] * to_crop[0, 0]
            rows['true'].append(np.column_stack([places, depth * pixels_a_metre * 2 / CROP]))
            rows['pose'].append(plan.pose)
            rows['betas'].append(plan.betas)
        inputs = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            rows['seen'].extend(network(inputs)[0].numpy())
    return {name: np.array(value, np.float32) for name, value in rows.items()}


class KeypointHands:
    """Endless batches of hands without images."""

    def __init__(self, hand: WholeHand, poses: np.ndarray, errors: np.ndarray, seed: int) -> None:
        self.hand, self.random = hand, torch.Generator().manual_seed(seed)
        self.poses, self.errors = torch.from_numpy(poses), torch.from_numpy(errors)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.random)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.random)

    def _some(self, rows: Tensor, count: int) -> Tensor:
        return rows[torch.randint(len(rows), (count,), generator=self.random)]

    @torch.no_grad()
    def batch(self, count: int) -> tuple[Tensor, Labels]:
        """Key points (B, 21, 3) and their labels."""
        pose, other = self._some(self.poses, count), self._some(self.poses, count)
        fingers = torch.lerp(pose, other, self._uniform(count, 1) * 0.7)
        pose = torch.where(self._uniform(count, 1) < 0.5, fingers, pose)
        pose = pose + 0.12 * self._uniform(count, 1) * self._normal(count, 48)
        pose[:, :3] = other[:, :3]
        rotmat = self.hand.rotations(pose)
        rotmat[:, 0] = axis_angle_to_rotmat(pose[:, :3])
        betas = self._normal(count, 10).clamp(-2.2, 2.2)
        mesh = self.hand(rotmat, betas)
        distance = 0.3 * 5 ** self._uniform(count)
        aside = 0.15 * self._normal(count, 2).clamp(-2, 2) * distance[:, None]
        moved = torch.cat((aside, distance[:, None]), 1)[:, None]
        vertices, joints = (
            (x + moved)[..., :2] / (x + moved)[..., 2:] for x in (mesh.vertices, mesh.joints)
        )
        low, high = vertices.amin(1), vertices.amax(1)
        crop = 1.2 * (high - low).amax(1) * torch.exp(0.12 * self._normal(count))
        center = (low + high) / 2 + 0.04 * crop[:, None] * self._normal(count, 2)
        places = (joints - center[:, None]) * (2 / crop[:, None, None])
        depth = mesh.joints[..., 2:] * (2 / (crop * distance))[:, None, None]
        error = self._some(self.errors, count) * (0.2 + 1.2 * self._uniform(count, 1, 1))
        seen = torch.cat((places, depth), -1) + error + 0.01 * self._normal(count, 21, 3)
        shown = torch.ones(count, 21, dtype=torch.bool)
        return seen, Labels.of(self.hand, mesh, rotmat, betas, places, shown)


@torch.inference_mode()
def evaluate(lifter: HandLifter, hand: WholeHand, drawn: dict) -> dict[str, float]:
    """PA-MPJPE of the 21 joints, mm, and how far they are from the drawn ones on the crop."""
    rotmat = hand.rotations(torch.from_numpy(drawn['pose']))
    rotmat[:, 0] = axis_angle_to_rotmat(torch.from_numpy(drawn['pose'][:, :3]))
    truth = hand(rotmat, torch.from_numpy(drawn['betas'])).joints.numpy()
    turned, betas, camera = lifter(torch.from_numpy(drawn['seen']))
    joints = hand(local_rotations(turned, hand.parents), betas).joints
    places = camera[:, None, :1] * (joints[..., :2] + camera[:, None, 1:])
    off = np.linalg.norm(places.numpy() - drawn['true'][..., :2], axis=-1)
    error = 1000 * pa_mpjpe(joints.numpy(), truth)
    mean = np.broadcast_to(truth.mean(0), truth.shape).copy()
    return dict(
        pa_mpjpe=float(np.mean(error)),
        pa_mpjpe_median=float(np.median(error)),
        mean_hand_pa_mpjpe=float(np.mean(1000 * pa_mpjpe(mean, truth))),
        places_median=float(np.median(off)),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('work', type=Path)
    parser.add_argument('--minutes', type=float, default=10)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    keep_freed_memory()
    file = options.work / 'drawn_hands.npz'
    if not file.exists():
        np.savez(file, **draw_hands(DRAWN + HELD_OUT, options.seed + 1))
    with np.load(file) as data:
        drawn = {name: data[name] for name in data.files}
    held_out = {name: value[-HELD_OUT:] for name, value in drawn.items()}
    errors = (drawn['seen'] - drawn['true'])[:-HELD_OUT]
    errors[:, :, 2] -= errors[:, HAND21_WRIST : HAND21_WRIST + 1, 2]
    usual = np.abs(errors[..., :2]).max((1, 2)) < 0.6  # the others are other things than a hand
    print(f'{usual.mean():.3f} of the drawn hands were found', flush=True)
    figure, rng = Figure('hand'), np.random.default_rng(options.seed)
    poses = np.stack([plan_hand(rng, figure).pose for _ in range(POSES)]).astype(np.float32)
    hand, lifter = WholeHand(), HandLifter()
    hands = KeypointHands(hand, poses, errors[usual], options.seed)
    optimizer = torch.optim.AdamW(lifter.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    began, steps, log = time.time(), 0, 0.0
    while (share := (time.time() - began) / (60 * options.minutes)) < 1:
        for group in optimizer.param_groups:
            warm = min(1, (steps + 1) / 200)
            group['lr'] = RATE * warm * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
        keypoints, labels = hands.batch(BATCH)
        loss, terms, _ = judge(hand, lifter(keypoints), labels, metres=8.0, aligned=0.0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(lifter.parameters(), 1.0)
        optimizer.step()
        steps, log = steps + 1, log + terms['mpjpe'] / 200
        if steps % 200 == 0:
            row = dict(steps=steps, seconds=round(time.time() - began), mpjpe=round(float(log), 2))
            if steps % 1000 == 0:
                row |= evaluate(lifter, hand, held_out)
                torch.save(dict(model=lifter.state_dict()), options.work / 'hand.pth')
            print(json.dumps(row), flush=True)
            log = 0.0
    torch.save(dict(model=lifter.state_dict()), options.work / 'hand.pth')
    print(json.dumps(dict(steps=steps, **evaluate(lifter, hand, held_out))))


if __name__ == '__main__':
    main()
