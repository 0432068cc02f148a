# SPDX-License-Identifier: Apache-2.0
"""Scores of the shipped body model on drawn people that no training has seen.

Usage: python -m projects.free_model.lifting.evaluate --count 2000
"""

import argparse
import json

import numpy as np
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from fastmetro_mm.body.joint_sets import J14, index_map
from fastmetro_mm.config_files import config_path
from fastmetro_mm.evaluation.functional import pa_mpjpe
from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.model_zoo import load_weights
from fastmetro_mm.models.backbones.movenet import INPUT_MEAN
from fastmetro_mm.synthetic.crops import draw_crops
from fastmetro_mm.synthetic.scene import Studio

SEED, TOGETHER = 20_000, 50
SHOULDERS = index_map(('R_Shoulder', 'L_Shoulder'), J14)
HIPS = index_map(('R_Hip', 'L_Hip'), J14)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--count', type=int, default=2000)
    parser.add_argument('--backgrounds', help='folder of photos without people')
    parser.add_argument(
        '--no-flip-test', dest='flip_test', action='store_false', help='one look at each crop'
    )
    options = parser.parse_args()
    network = MODELS.build(Config.fromfile(config_path('open_body')).model)
    network.load_state_dict(load_weights('open_body'))
    network.eval()
    studio = Studio('body', (288, 288), 'photo', options.backgrounds)
    found: dict[str, list] = {'pa_mpjpe': [], 'mpjpe': [], 'mean_body_pa_mpjpe': [], 'close': []}
    mean_body = None
    for start in range(0, options.count, TOGETHER):
        seeds = range(start, min(start + TOGETHER, options.count))
        people = draw_crops(studio, [np.random.default_rng((SEED, seed)) for seed in seeds])
        images = torch.from_numpy(people.images).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            seen = network.infer((images - INPUT_MEAN) / INPUT_MEAN, options.flip_test)
            root, truth = network.body.root_and_joints(torch.from_numpy(people.vertices))
        joints, centred = seen.joints.numpy(), (truth - root).numpy()
        mean_body = centred.mean(0, keepdims=True) if mean_body is None else mean_body
        found['pa_mpjpe'].append(1000 * pa_mpjpe(joints, centred))
        found['mpjpe'].append(1000 * np.linalg.norm(joints - centred, axis=-1).mean(1))
        found['mean_body_pa_mpjpe'].append(
            1000 * pa_mpjpe(np.repeat(mean_body, len(joints), 0), centred)
        )
        places = weak_perspective_project(seen.joints, seen.pred_cam).numpy()
        drawn = people.project(truth.numpy()) / (people.images.shape[1] / 2) - 1
        middle = drawn[:, list(SHOULDERS)].mean(1) - drawn[:, list(HIPS)].mean(1)
        torso = np.linalg.norm(middle, axis=-1)[:, None]
        inside = (np.abs(drawn) < 1).all(-1) & (torso > 0.1)
        off = np.linalg.norm(places - drawn, axis=-1)
        found['close'].append((off < 0.2 * torso)[inside])
    scores = {name: np.concatenate(values) for name, values in found.items()}
    print(json.dumps({
        'people': options.count,
        'PA-MPJPE': round(float(scores['pa_mpjpe'].mean()), 1),
        'PA-MPJPE median': round(float(np.median(scores['pa_mpjpe'])), 1),
        'MPJPE': round(float(scores['mpjpe'].mean()), 1),
        'mean body PA-MPJPE': round(float(scores['mean_body_pa_mpjpe'].mean()), 1),
        'PCK@0.2 torso': round(float(scores['close'].mean()), 3),
    }))  # fmt: skip


if __name__ == '__main__':
    main()
