# SPDX-License-Identifier: Apache-2.0
"""What frozen MoveNet sees of drawn people, kept on disk: shards of 500 crops.

    python -m projects.free_model.lifting.evidence FOLDER --count 50000 --backgrounds PHOTOS

A killed run goes on where it stopped. A crop takes 82 kB (deep map in bytes) and some 50 ms of one
core, drawing included. Run it several times with different ``--seed`` on a larger machine.
"""

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from fastmetro_mm.models.backbones import MoveNet
from fastmetro_mm.models.backbones.movenet import INPUT_MEAN
from fastmetro_mm.speed.allocator import keep_freed_memory
from fastmetro_mm.synthetic.scene import Studio
from projects.free_model.lifting.draw import IMAGE, draw_people

SHARD, TOGETHER = 500, 50
CROP = 256
DEEP_SCALE = 42.5  # the deep map lies in 0 to 6


def cut(
    rng: np.random.Generator, image: np.ndarray, label: dict
) -> tuple[np.ndarray, np.ndarray, float]:
    """A crop around the labelled box, moved, scaled, rotated and coloured a little.

    Returns:
        uint8 (256, 256, 3); map from image to crop (2, 3), continuous positions; degrees.
    """
    side = 200.0 * label['scale'] * float(np.exp(rng.normal(0, 0.08)))
    center = np.array(label['center'], float) + rng.normal(0, 0.03, 2) * side
    degrees = float(np.clip(rng.normal(0, 15), -40, 40)) if rng.random() < 0.3 else 0.0
    angle, factor = np.deg2rad(degrees), CROP / side
    turn = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([turn, CROP / 2 - turn @ center])
    indices = matrix.copy()  # OpenCV counts from the centre of the first pixel
    indices[:, 2] += 0.5 * turn.sum(1) - 0.5
    crop = cv2.warpAffine(image, indices, (CROP, CROP), flags=cv2.INTER_LINEAR, borderValue=0)
    if rng.random() < 0.5:
        crop = np.clip(crop * rng.uniform(0.7, 1.3, 3), 0, 255).astype(np.uint8)
    return crop, matrix, degrees


def draw_shard(studio: Studio, network: MoveNet, seed: int, number: int) -> dict[str, np.ndarray]:
    """Draw and look at the people of one shard; the same numbers give the same shard."""
    rng = np.random.default_rng((seed, number))
    rows: dict[str, list] = {name: [] for name in ('pose', 'betas', 'rot', 'j2d', 'kp', 'deep')}
    for _ in range(SHARD // TOGETHER):
        crops = []
        for image, plan, label in draw_people(studio, rng, TOGETHER):
            crop, matrix, degrees = cut(rng, image, label)
            joints = np.array(label['2d_joints'], float)
            places = (joints[:, :2] @ matrix[:, :2].T + matrix[:, 2]) * (2 / CROP) - 1
            crops.append(crop)
            rows['j2d'].append(np.column_stack([places, joints[:, 2]]))
            rows['pose'].append(plan.pose)
            rows['betas'].append(plan.betas)
            rows['rot'].append(degrees)
        for start in range(0, TOGETHER, 10):
            some = torch.from_numpy(np.stack(crops[start : start + 10])).permute(0, 3, 1, 2)
            keypoints, deep = look(network, some)
            rows['kp'].append(keypoints)
            rows['deep'].append(deep)
    joined = {name: np.concatenate(rows.pop(name)) for name in ('kp', 'deep')}
    return {**{name: np.array(value, np.float32) for name, value in rows.items()}, **joined}


@torch.inference_mode()
def look(network: MoveNet, crops: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Key points (B, 17, 3) in [-1, 1] and the deep map (B, 1280, 8, 8) in bytes."""
    dtype = next(network.parameters()).dtype
    inputs = ((crops.float() - INPUT_MEAN) / INPUT_MEAN).to(dtype)
    keypoints, deep = network(inputs.contiguous(memory_format=torch.channels_last))
    scaled = (deep.float() * DEEP_SCALE).round().clamp(0, 255)
    return keypoints.numpy(), scaled.byte().numpy()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--count', type=int, default=50_000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--backgrounds', help='folder of photos without people')
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()
    options.folder.mkdir(parents=True, exist_ok=True)
    studio = Studio('body', (IMAGE, IMAGE), 'photo', options.backgrounds)
    network = MoveNet(parts=('deep',), with_keypoints=True, weights='movenet_thunder')
    network.init_weights()
    network.eval().to(torch.bfloat16).to(memory_format=torch.channels_last)
    started = time.time()
    for number in range(-(-options.count // SHARD)):
        target = options.folder / f'{options.seed}_{number:05d}.npz'
        if target.exists():
            continue
        shard = draw_shard(studio, network, options.seed, number)
        deep = target.with_suffix('.deep.npy')
        np.save(deep, shard.pop('deep'))  # apart, so that training maps it instead of reading it
        with open(f'{target}.tmp', 'wb') as file:
            np.savez(file, **shard)
        os.replace(f'{target}.tmp', target)
        print(f'{target}  {time.time() - started:.0f} s', flush=True)


if __name__ == '__main__':
    main()
