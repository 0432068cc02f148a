# SPDX-License-Identifier: Apache-2.0
"""People without images: poses, cameras, and key points as MoveNet would see them."""

import math

import numpy as np
import torch
from torch import Tensor

from fastmetro_mm.body.joint_sets import SMPL24_FLIP
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from fastmetro_mm.synthetic.photo_poses import ON_THE_GROUND
from fastmetro_mm.synthetic.pose_library import load_pose_library
from projects.free_model.lifting.labels import Labels
from projects.free_model.lifting.small_body import COCO17_FLIP, J24_TO_COCO17, SmallBody

MIRROR = torch.tensor([1.0, -1.0, -1.0])
"""Of a rotation vector, x -> -x."""
_UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # body axes (y up) to camera axes (y down)
_LEFT_ARM, _LEGS = (13, 16, 18, 20, 22), (1, 2, 4, 5, 7, 8, 10, 11)
_EVERYDAY = ('walk', 'turn', 'run', 'dance', 'jump')
_NATURAL_NOISE = 0.04  # radians, at most; other poses get 0.12
_ARMS = (13, 14, *range(16, 24))


class KeypointPeople:
    """Endless batches of people.

    Args:
        body: Small open body.
        poses: (N, 24, 3) axis-angle poses, the root in the body's upright frame.
        errors: (M, 17, 3) errors (x, y on a crop of [-1, 1]) and scores of MoveNet on drawn people
            all of whose joints are in the image: real rows keep what belongs together.
        seed: Start of the randomness.
        natural: Share of people in a pose of real, upright motions, half of them of walking,
            turning and the like, and with straighter legs.
        spread: Factor of the noise on the others' poses and of how often they mix limbs.
    """

    def __init__(
        self,
        body: SmallBody,
        poses: np.ndarray,
        errors: np.ndarray,
        seed: int,
        natural: float = 0.0,
        spread: float = 1.0,
    ) -> None:
        self.body, self.device = body, body.label_rows.device
        self.poses = torch.from_numpy(poses.astype(np.float32)).to(self.device)
        self.errors = torch.from_numpy(errors.astype(np.float32)).to(self.device)
        self.natural, self.spread = natural, spread
        library = load_pose_library()
        names = [library.names[source] for source in library.source]
        upright = [name not in ON_THE_GROUND for name in names]
        everyday = [any(word in name for word in _EVERYDAY) for name in names]
        self.upright, self.everyday = (
            torch.from_numpy(library.poses[rows]).float().to(self.device)
            for rows in (upright, everyday)
        )
        self.random = torch.Generator(self.device).manual_seed(seed)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.random, device=self.device)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.random, device=self.device)

    def _chance(self, share: float, count: int) -> Tensor:
        return self._uniform(count) < share

    def _some(self, rows: Tensor, count: int) -> Tensor:
        picked = torch.randint(len(rows), (count,), generator=self.random, device=self.device)
        return rows[picked]

    def _pose(self, count: int) -> Tensor:
        """Poses, limbs of others, steps between two, noise, mirrored: (B, 24, 3)."""
        pose, other = self._some(self.poses, count), self._some(self.poses, count)
        for share, rows, source in (
            (0.25, _ARMS, other),
            (0.12, _LEFT_ARM, self._some(self.poses, count)),
            (0.08, _LEGS, self._some(self.poses, count)),
        ):
            chosen = torch.zeros(24, dtype=torch.bool, device=self.device)
            chosen[list(rows)] = True
            taken = self._chance(self.spread * share, count)[:, None] & chosen
            pose = torch.where(taken[..., None], source, pose)
        step = 0.6 * self._uniform(count, 1, 1)
        step = step * self._chance(0.15 * self.spread, count)[:, None, None]
        between = torch.lerp(pose, other, step)
        between[:, 0] = pose[:, 0]
        noise = 0.12 * self._uniform(count, 1, 1) * self._normal(count, 24, 3)
        noise[:, 0] = 0
        noise[:, [10, 11, 22, 23]] *= 0.3
        noise[:, [4, 5], 1:] *= 0.3
        pose = between + self.spread * noise
        if self.natural:
            real = torch.where(
                self._chance(0.5, count)[:, None, None],
                self._some(self.everyday, count),
                self._some(self.upright, count),
            )
            # the library holds what differs, and much of it crouches; most people stand straight
            straight = self._chance(0.5, count)[:, None, None]
            real[:, list(_LEGS)] *= torch.where(straight, self._uniform(count, 1, 1), 1.0)
            real = real + noise * (_NATURAL_NOISE / 0.12)
            pose = torch.where(self._chance(self.natural, count)[:, None, None], real, pose)
        mirrored = pose[:, list(SMPL24_FLIP)] * MIRROR.to(self.device)
        return torch.where(self._chance(0.5, count)[:, None, None], mirrored, pose)

    def _view(self, count: int) -> Tensor:
        """Upright body to camera axes, (B, 3, 3)."""
        yaw = torch.where(
            self._chance(0.45, count),
            0.8 * self._normal(count),
            math.pi * (2 * self._uniform(count) - 1),
        )
        pitch = torch.where(
            self._chance(0.85, count),
            0.07 + 0.17 * self._normal(count),
            1.3 * self._uniform(count) - 0.5,
        )
        tilted = torch.where(
            self._chance(0.6, count),
            0.5 * self._normal(count),
            math.pi * (2 * self._uniform(count) - 1),
        )
        roll = torch.where(self._chance(0.85, count), 0.09 * self._normal(count), tilted)
        zero = torch.zeros(count, device=self.device)
        turn = axis_angle_to_rotmat
        return (
            turn(torch.stack([zero, zero, roll], 1)) @ turn(torch.stack([pitch, zero, zero], 1))
            @ _UPRIGHT.to(self.device) @ turn(torch.stack([zero, yaw, zero], 1))
        )  # fmt: skip

    def _seen_part(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Border of the image around each person, which cuts some of them: two (B, 2)."""
        count, size = len(low), high - low
        low, high = low.clone(), high.clone()
        draw, keep = self._uniform(count), self._uniform(count)
        # from, to, axis, whether the far side is cut, least share that stays
        cuts = ((0.0, 0.2, 1, True, 0.3), (0.2, 0.25, 1, False, 0.6), (0.25, 0.32, 0, True, 0.5),
                (0.32, 0.39, 0, False, 0.5))  # fmt: skip
        for start, end, axis, far, least in cuts:
            cut = (draw >= start) & (draw < end)
            shown = size[:, axis] * (least + (0.95 - least) * keep)
            if far:
                high[:, axis] = torch.where(cut, low[:, axis] + shown, high[:, axis])
            else:
                low[:, axis] = torch.where(cut, high[:, axis] - shown, low[:, axis])
        return low, high

    @torch.no_grad()
    def batch(self, count: int) -> tuple[Tensor, Labels]:
        """Key points (B, 17, 3), x and y in [-1, 1] and a score, and their labels."""
        rotmat = axis_angle_to_rotmat(self._pose(count))
        rotmat[:, 0] = self._view(count) @ rotmat[:, 0]
        betas = self._normal(count, 10).clamp(-2.2, 2.2)
        mesh = self.body(rotmat, betas)
        near = mesh.vertices[..., 2].amin(1).neg() + 0.5
        distance = torch.maximum(1.6 * (12 / 1.6) ** self._uniform(count), near)
        aside = self._normal(count, 2).clamp(-2, 2) * betas.new_tensor([0.15, 0.12])
        moved = torch.cat((aside * distance[:, None], distance[:, None]), 1)[:, None]
        vertices, joints = (
            (x + moved)[..., :2] / (x + moved)[..., 2:] for x in (mesh.vertices, mesh.joints)
        )
        low, high = vertices.amin(1), vertices.amax(1)
        border_low, border_high = self._seen_part(low, high)
        inside = ((vertices >= border_low[:, None]) & (vertices <= border_high[:, None])).all(-1)
        hardly = inside.sum(1) < 60
        border_low[hardly], border_high[hardly], inside[hardly] = low[hardly], high[hardly], True
        shown = inside[..., None]
        seen_low = torch.where(shown, vertices, math.inf).amin(1)
        seen_high = torch.where(shown, vertices, -math.inf).amax(1)
        whole = self._chance(0.25, count)[:, None]  # boxes of data sets go round hidden parts too
        box_low = torch.where(whole, low, seen_low)
        box_high = torch.where(whole, high, seen_high)
        side = (box_high - box_low).amax(1)
        crop = 1.2 * side * torch.exp(0.09 * self._normal(count).clamp(-2, 2))
        center = (box_low + box_high) / 2 + 0.03 * crop[:, None] * self._normal(count, 2)
        to_crop = 2 / crop[:, None, None]
        places = (joints - center[:, None]) * to_crop
        margin = 0.01 * (high - low).amax(1)[:, None, None]
        beyond = (joints < border_low[:, None] - margin) | (joints > border_high[:, None] + margin)
        hidden = beyond.any(-1) | (places.abs() > 1.02).any(-1)
        edges = [((edge - center)[:, None] * to_crop) for edge in (border_low, border_high)]
        keypoints = self._as_seen(places[:, J24_TO_COCO17], hidden[:, J24_TO_COCO17], edges)
        return keypoints, Labels.of(self.body, mesh, rotmat, betas, places, ~hidden)

    def _as_seen(self, places: Tensor, hidden: Tensor, edges: list[Tensor]) -> Tensor:
        count = len(places)
        rows = self._some(self.errors, count)
        mirrored = rows[:, COCO17_FLIP] * rows.new_tensor([-1.0, 1.0, 1.0])
        rows = torch.where(self._chance(0.5, count)[:, None, None], mirrored, rows)
        error = rows[..., :2] * (0.2 + 1.3 * self._uniform(count, 1, 1))
        error = error + 0.012 * self._uniform(count, 1, 1) * self._normal(count, 17, 2)
        score = rows[..., 2]
        # something in front: wrong by more, and the score says so
        covered = self._uniform(count, 17) < 0.04
        error = error + 0.12 * covered[..., None] * self._normal(count, 17, 2)
        score = torch.where(covered, 0.7 * score * self._uniform(count, 17), score)
        seen = places + error
        for share, rows_swapped in ((0.03, range(17)), (0.02, range(11, 17))):  # left for right
            swapped = torch.zeros(17, 1, dtype=torch.bool, device=self.device)
            swapped[list(rows_swapped)] = True
            taken = self._chance(share, count)[:, None, None] & swapped
            seen = torch.where(taken, seen[:, COCO17_FLIP], seen)
        low, high = edges[0].clamp(min=-1), edges[1].clamp(max=1)
        guess = torch.maximum(torch.minimum(seen, high), low) + 0.06 * self._normal(count, 17, 2)
        seen = torch.where(hidden[..., None], guess, seen)
        score = torch.where(hidden, 0.28 * self._uniform(count, 17), score)
        return torch.cat((seen, score[..., None]), dim=-1)
