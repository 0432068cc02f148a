# SPDX-License-Identifier: Apache-2.0
"""Confidences of the shipped body model against true errors on drawn people, and what views bring.

Fits the curves of ``JointConfidence`` on the first people of a set, and tells on the others how
often joints of each confidence are right, and how spread and error go together.

Usage: fastmetro synthesize --scene photo --size 384 384 --seed 77001 --train 16 --test 500
           --out DIR
       python -m projects.free_model.lifting.confidence DIR --views flip
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

from fastmetro_mm.body.joint_sets import J14
from fastmetro_mm.config_files import config_path
from fastmetro_mm.datasets.transforms.views import all_views, parse_views
from fastmetro_mm.evaluation.functional import pa_mpjpe
from fastmetro_mm.model_zoo import load_weights
from fastmetro_mm.models.heads.joint_confidence import joint_scores
from fastmetro_mm.models.tta_model import MeshTTAModel
from fastmetro_mm.speed.allocator import keep_freed_memory

NEAR, TOGETHER = 0.1, 25  # metres; people in a batch
CONFIDENCE_EDGES, SPREAD_EDGES = (0.2, 0.4, 0.6, 0.8), (0.01, 0.02, 0.04, 0.08)


def predictions(folder: str, views: str, most: int) -> dict[str, np.ndarray]:
    """Truth (N, 14, 3), one view's joints and those of all, scores and spread, metres."""
    init_default_scope('mmpose')
    config = Config.fromfile(config_path('open_body'))
    chosen = config.test_dataloader.dataset
    chosen.update(data_root=folder, pipeline=all_views(chosen.pipeline, parse_views(views)))
    dataset = DATASETS.build(chosen)
    network = MODELS.build(config.model)
    network.load_state_dict(load_weights('open_body'))
    model, seen = MeshTTAModel(network.eval()), []
    network.neck.register_forward_hook(lambda *given: seen.append(given[-1].keypoints))
    network.head.register_forward_hook(lambda *given: seen.append(given[-1].joints))
    found: dict[str, list] = {}
    for start in range(0, min(len(dataset), most), TOGETHER):
        rows = range(start, min(start + TOGETHER, len(dataset), most))
        batch = pseudo_collate([dataset[row] for row in rows])
        seen.clear()
        with torch.no_grad():
            samples = model.test_step(batch)
            meshes = network.build_targets(samples, torch.device('cpu')).vertices
            truth = network.body.centre(meshes)[1]
        merged = np.concatenate([sample.pred_instances.joints_3d for sample in samples])
        spread = np.concatenate([sample.pred_instances.joint_spread for sample in samples])
        for name, value in (('truth', truth), ('plain', seen[1]), ('merged', merged),
                            ('spread', spread), ('scores', joint_scores(seen[0]))):  # fmt: skip
            found.setdefault(name, []).append(np.asarray(value))
        print(f'{rows.stop} people', flush=True)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def fit(scores: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Logistic regression by Newton steps: the slope, then a bias for each joint."""
    count, joints = scores.shape
    each = np.tile(np.eye(joints), (count, 1))
    inputs = np.column_stack([logit(scores).reshape(-1), each])
    weights, truth = np.zeros(joints + 1), near.reshape(-1).astype(float)
    for _ in range(30):
        said = 1 / (1 + np.exp(-inputs @ weights))
        bend = (inputs * (said * (1 - said))[:, None]).T @ inputs + 1e-3 * np.eye(joints + 1)
        weights += np.linalg.solve(bend, inputs.T @ (truth - said) - 1e-3 * weights)
    return weights


def logit(scores: np.ndarray) -> np.ndarray:
    """Log odds, as ``JointConfidence`` takes them."""
    return np.asarray(torch.logit(torch.from_numpy(scores), eps=0.01))


def table(title: str, values: np.ndarray, edges: tuple, error: np.ndarray) -> None:
    """How often joints are near, and how far away they are, bin by bin."""
    print(title)
    bins = np.digitize(values, edges)
    for number in range(len(edges) + 1):
        rows = bins == number
        if rows.any():
            low, high = ('', *edges)[number], (*edges, '')[number]
            print(
                f'| {low} to {high} | {rows.sum()} | {values[rows].mean():.3f} | '
                f'{(error[rows] < NEAR).mean():.2f} | {1000 * np.median(error[rows]):.0f} mm |'
            )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('data', type=Path)
    parser.add_argument('--views', default='flip')
    parser.add_argument('--fit', type=int, default=300, help='people of the fit')
    parser.add_argument('--most', type=int, default=10**9, help='people at all')
    options = parser.parse_args()
    keep_freed_memory()
    found = predictions(f'{options.data}/', options.views, options.most)
    errors = {
        name: np.linalg.norm(found[name] - found['truth'], axis=-1) for name in ('plain', 'merged')
    }
    for name, error in errors.items():
        aligned = 1000 * pa_mpjpe(found[name], found['truth'])
        print(f'{name}: MPJPE {1000 * error.mean():.1f} PA-MPJPE {aligned.mean():.1f} mm')
    gain = 1000 * (errors['merged'] - errors['plain']).mean(1)
    print(f'MPJPE, pairs: {gain.mean():.1f} +- {gain.std() / np.sqrt(len(gain)):.1f} mm')
    used, rest = slice(0, options.fit), slice(options.fit, None)
    weights = fit(found['scores'][used], errors['plain'][used] < NEAR)
    print(f'slope={weights[0]:.2f}, bias={tuple(weights[1:].round(2).tolist())}  # {" ".join(J14)}')
    confidence = 1 / (1 + np.exp(-weights[0] * logit(found['scores'][rest]) - weights[1:]))
    table('confidence: joints, mean, near, median error', confidence, CONFIDENCE_EDGES,
          errors['plain'][rest])  # fmt: skip
    table('person: people, mean, near, median error', confidence.mean(1), CONFIDENCE_EDGES,
          errors['plain'][rest].mean(1))  # fmt: skip
    table('spread: joints, mean, near, median error', found['spread'], SPREAD_EDGES,
          errors['merged'])  # fmt: skip


if __name__ == '__main__':
    main()
