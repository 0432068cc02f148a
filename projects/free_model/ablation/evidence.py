# SPDX-License-Identifier: Apache-2.0
"""What frozen MoveNet Thunder sees of crops: maps in bytes, small enough for all variants."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from fastmetro_mm.body.joint_sets import J24_TO_J14
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from fastmetro_mm.models.backbones import MoveNet
from fastmetro_mm.models.backbones.mobilenet_fpn import DEEP_CHANNELS
from fastmetro_mm.models.backbones.movenet import INPUT_MEAN, STRIDE
from projects.free_model.ablation.plainer import PlainerStudio
from projects.free_model.lifting.draw import photograph
from projects.free_model.lifting.evidence import CROP, DEEP_SCALE, cut
from projects.free_model.lifting.small_body import SmallBody

HEAT_SCALE = 255.0
TOGETHER = 10


@dataclass
class People:
    """People as the network sees them, and the truth.

    Attributes:
        deep: Deep map, averaged over 2x2 cells, bytes. (N, 1280, 4, 4)
        heat: Heat maps, largest of 4x4 cells, bytes. (N, 17, 16, 16)
        keypoints: x, y on the crop in [-1, 1] and scores. (N, 17, 3)
        joints: True joints, metres, camera axes, any origin; NaN where not known. (N, 14, 3)
        places: The same on the crop, which ends at -1 and 1; NaN where not known. (N, 14, 2)
        cluster: Number of what belongs together: a person, an instant, an image. (N,)
    """

    deep: np.ndarray
    heat: np.ndarray
    keypoints: np.ndarray
    joints: np.ndarray
    places: np.ndarray
    cluster: np.ndarray

    def __len__(self) -> int:
        return len(self.cluster)

    def save(self, file: Path) -> None:
        """Write it; the file appears when it is whole."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        write_atomically(file, lambda path: np.savez(path, **arrays))

    @classmethod
    def load(cls, files: Iterable[Path]) -> 'People':
        """Read one or several files as one."""
        parts: dict[str, list[np.ndarray]] = {f.name: [] for f in fields(cls)}
        for file in files:
            with np.load(file, allow_pickle=False) as data:
                for name, values in parts.items():
                    values.append(data[name])
        return cls(**{name: np.concatenate(values) for name, values in parts.items()})


@dataclass(frozen=True)
class Crop:
    """A crop (256, 256, 3) uint8 RGB and the truth about one person, see :class:`People`."""

    image: np.ndarray
    joints: np.ndarray
    places: np.ndarray
    cluster: int


class Onlooker:
    """MoveNet Thunder in bfloat16."""

    def __init__(self) -> None:
        self.network = MoveNet(
            parts=('deep', 'heatmaps'), with_keypoints=True, weights='movenet_thunder'
        )
        self.network.init_weights()
        self.network.eval().to(torch.bfloat16).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, crops: Iterable[Crop]) -> People:
        """Look at crops, ten at a time."""
        seen: list[tuple[np.ndarray, ...]] = []
        truth: list[Crop] = []
        rest = iter(crops)
        while some := list(islice(rest, TOGETHER)):
            images = torch.from_numpy(np.stack([crop.image for crop in some])).permute(0, 3, 1, 2)
            inputs = ((images.float() - INPUT_MEAN) / INPUT_MEAN).bfloat16()
            keypoints, grid = self.network(inputs.contiguous(memory_format=torch.channels_last))
            deep = F.avg_pool2d(grid[:, :DEEP_CHANNELS].float(), 2) * DEEP_SCALE
            fine = F.pixel_shuffle(grid[:, DEEP_CHANNELS:].float(), 32 // STRIDE)
            heat = F.max_pool2d(fine, 4) * HEAT_SCALE
            maps = (part.round().clamp(0, 255).byte().numpy() for part in (deep, heat))
            seen.append((*maps, keypoints.float().numpy()))
            truth += some
        maps = (np.concatenate(parts) for parts in zip(*seen, strict=True))
        return People(
            *maps,
            joints=np.stack([crop.joints for crop in truth]).astype(np.float32),
            places=np.stack([crop.places for crop in truth]).astype(np.float32),
            cluster=np.array([crop.cluster for crop in truth]),
        )


def drawn_crops(
    studio: PlainerStudio, body: SmallBody, seed: int, numbers: range
) -> Iterator[Crop]:
    """People of some numbers; a number gives the same person in every studio."""
    rngs = [np.random.default_rng((seed, number)) for number in numbers]
    plans = [studio.plan(rng) for rng in rngs]
    for number, rng, plan, posed in zip(numbers, rngs, plans, studio.pose(plans), strict=True):
        image, label = photograph(studio, rng, plan, posed)
        crop, matrix, degrees = cut(rng, image, label)
        rotmat = axis_angle_to_rotmat(torch.from_numpy(plan.pose).float().view(1, 24, 3))
        turn = axis_angle_to_rotmat(torch.tensor([[0.0, 0.0, float(np.deg2rad(degrees))]]))
        rotmat[:, 0] = turn @ rotmat[:, 0]  # the crop was turned
        joints = body(rotmat, torch.from_numpy(plan.betas).float()[None]).scored[0].numpy()
        marks = np.array(label['2d_joints'], float)[list(J24_TO_J14)]
        places = (marks[:, :2] @ matrix[:, :2].T + matrix[:, 2]) * (2 / CROP) - 1
        yield Crop(crop, joints, places, number)
