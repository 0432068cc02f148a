# SPDX-License-Identifier: Apache-2.0
"""Errors before and after the fit on drawn people, whose bodies are known.

Usage: python -m projects.fit_to_keypoints.measure --count 300
"""

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmpose.registry import MODELS
from torch import Tensor

from fastmetro_mm.body.joint_sets import J24
from fastmetro_mm.config_files import config_path
from fastmetro_mm.evaluation.functional import pa_mpjpe
from fastmetro_mm.geometry.camera import default_focal_length
from fastmetro_mm.model_zoo import load_weights
from fastmetro_mm.models.backbones.movenet import INPUT_MEAN
from fastmetro_mm.synthetic.crops import PersonCrops, draw_crops
from fastmetro_mm.synthetic.scene import Studio
from projects.fit_to_keypoints.fitting import Bodies, Weights, fit_bodies, project, size_on_image
from projects.free_model.lifting.small_body import J24_TO_COCO17, SmallBody

SEED, TOGETHER, SIDE, CROP = 30_000, 50, 288, 256


@dataclass(frozen=True)
class Seen:
    """Drawn people, what MoveNet sees of them, and the network's answers without and with its fit.

    Attributes:
        noisy: MoveNet's key points, crop pixels and score, joints of J24. (N, 24, 3)
        true: Projections of the true joints; 0 where outside the image. (N, 24, 3)
        truth: True joints of the score, metres, on the root. (N, 14, 3)
        guessed: K with the focal length that is taken where nothing is known. (N, 3, 3)
        known: K that the image was drawn with. (N, 3, 3)
        before: The network's answers by its fit's steps: rotations, betas, camera.
    """

    noisy: Tensor
    true: Tensor
    truth: Tensor
    guessed: Tensor
    known: Tensor
    before: dict[int, tuple[Tensor, Tensor, Tensor]]


def translation_of(camera: Tensor, intrinsics: Tensor) -> Tensor:
    """Place (B, 3) before K of a weak-perspective camera (B, 3) on a crop of 256 px."""
    scale, shift = camera[:, :1].clamp(min=0.1), camera[:, 1:]
    root = (scale * shift + 1) * CROP / 2
    depth = intrinsics[:, :1, 0] / (scale * CROP / 2)
    ray = (root - intrinsics[:, :2, 2]) / intrinsics[:, :1, 0]
    return torch.cat((ray * depth, depth), 1)


def intrinsics_of(people: PersonCrops) -> tuple[Tensor, Tensor]:
    """The guessed and the true K of crops, (N, 3, 3) each."""
    known = torch.zeros(len(people.intrinsics), 3, 3)
    values = torch.from_numpy(people.intrinsics).float()
    known[:, 0, 0], known[:, 1, 1] = values[:, 0], values[:, 1]
    known[:, :2, 2], known[:, 2, 2] = values[:, 2:], 1
    guessed = known.clone()
    # the principal point is the image's middle, so the crop's scale follows from it and K
    guessed[:, 0, 0] = guessed[:, 1, 1] = default_focal_length((CROP, CROP))
    return guessed, known


def look(count: int, backgrounds: str | None = None) -> Seen:
    """Draw people and ask the network."""
    model = Config.fromfile(config_path('open_body')).model
    network = MODELS.build(model)
    network.load_state_dict(load_weights('open_body'))
    network.eval()
    studio = Studio('body', (SIDE, SIDE), 'photo', backgrounds)
    rows: dict[str, list] = {name: [] for name in ('noisy', 'true', 'truth', 'guessed', 'known')}
    before: dict[int, list] = {0: [], 2: []}
    for start in range(0, count, TOGETHER):
        seeds = range(start, min(start + TOGETHER, count))
        people = draw_crops(studio, [np.random.default_rng((SEED, seed)) for seed in seeds], CROP)
        images = torch.from_numpy(people.images).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            tokens = network.extract_feat((images - INPUT_MEAN) / INPUT_MEAN)
            for steps, answers in before.items():
                network.head.fit_steps = steps
                answer = network.head(tokens)
                answers.append((answer.rotmat, answer.betas, answer.pred_cam))
            root, truth = network.body.root_and_joints(torch.from_numpy(people.vertices))
        noisy = torch.zeros(len(images), len(J24), 3)
        noisy[:, J24_TO_COCO17] = tokens.keypoints.float()
        noisy[..., :2] = (noisy[..., :2] + 1) * CROP / 2
        guessed, known = intrinsics_of(people)
        values = (noisy, torch.from_numpy(people.keypoints), truth - root, guessed, known)
        for name, value in zip(rows, values, strict=True):
            rows[name].append(value.clone())
    return Seen(
        **{name: torch.cat(value) for name, value in rows.items()},
        before={s: tuple(map(torch.cat, zip(*a, strict=True))) for s, a in before.items()},
    )


def score(seen: Seen, bodies: Bodies, body: SmallBody, intrinsics: Tensor) -> dict[str, float]:
    """PA-MPJPE and MPJPE, mm; share of visible true joints within a tenth of the person."""
    with torch.no_grad():
        mesh = body(bodies.rotmat, bodies.betas)
        places = project(mesh.joints, bodies.translation, intrinsics)
    off = (places - seen.true[..., :2]).norm(dim=-1) / size_on_image(seen.true)[:, None]
    inside = seen.true[..., 2] > 0
    error = 1000 * pa_mpjpe(mesh.scored.numpy(), seen.truth.numpy())
    far = 1000 * (mesh.scored - seen.truth).norm(dim=-1).mean(1)
    return {
        'PA-MPJPE': round(float(error.mean()), 1),
        'PA-MPJPE median': round(float(np.median(error)), 1),
        'MPJPE': round(float(far.mean()), 1),
        'joints within 5 % of the size': round(float((off[inside] < 0.05).float().mean()), 3),
    }


def compare(
    seen: Seen, body: SmallBody, weights: Weights | None = None
) -> dict[str, dict[str, float]]:
    """Scores before and after."""
    rows: dict[str, dict[str, float]] = {}
    starts = {}
    for steps, (rotmat, betas, camera) in seen.before.items():
        for name, intrinsics in (('', seen.guessed), (', true camera', seen.known)):
            place = translation_of(camera, intrinsics)
            starts[steps, name] = Bodies(rotmat.clone(), betas.clone(), place)
    rows['network alone'] = score(seen, starts[0, ''], body, seen.guessed)
    rows["with the head's two steps (shipped)"] = score(seen, starts[2, ''], body, seen.guessed)
    coco = torch.zeros_like(seen.true)
    coco[:, J24_TO_COCO17] = seen.true[:, J24_TO_COCO17]
    for kind, marks in (
        ("MoveNet's 17 key points", seen.noisy),
        ('17 true key points', coco),
        ('24 true key points', seen.true),
    ):
        for name, intrinsics in (('', seen.guessed), (', true camera', seen.known)):
            began = time.process_time()
            fitted = fit_bodies(body, starts[2, name], marks, intrinsics, weights)
            spent = time.process_time() - began
            row = score(seen, fitted.bodies, body, intrinsics)
            row['CPU ms a person'] = round(1000 * spent / len(marks), 1)
            rows[f'fitted to {kind}{name}'] = row
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--count', type=int, default=300)
    parser.add_argument('--backgrounds', help='folder of photos without people')
    options = parser.parse_args()
    for name, row in compare(look(options.count, options.backgrounds), SmallBody()).items():
        print(json.dumps({'bodies': name, **row}))


if __name__ == '__main__':
    main()
