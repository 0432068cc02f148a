# SPDX-License-Identifier: Apache-2.0
"""Stand-in for own photos: drawn people under a camera at the ceiling, with COCO key points.

Usage: python -m projects.finetune_your_data.ceiling data/ceiling --train 200 --test 100

Writes ``photos/``, ``train.json`` and ``test.json`` as somebody would who labels photos, and
``test.yaml`` with the true bodies of the test people, to tell what labels in 2D did to 3D.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.datasets.tsv_writer import TSVRow, write_tsv_set
from fastmetro_mm.fileio import write_json
from fastmetro_mm.synthetic.body_sampling import Plan, sample_betas
from fastmetro_mm.synthetic.photo_poses import sample_photo_pose
from fastmetro_mm.synthetic.rotations import matrices_to_vectors, rotate_about, vectors_to_matrices
from fastmetro_mm.synthetic.scene import Studio
from projects.free_model.lifting.small_body import J24_TO_COCO17

SIZE, SEED = (320, 320), 40_000
_X, _Y, _ = np.eye(3)


def plan_from_above(rng: np.random.Generator, rest_joints: np.ndarray) -> Plan:
    """A person whom the camera sees from 40 to 65 degrees above, from any side."""
    family, pose = sample_photo_pose(rng, rest_joints)
    pitch, yaw = rng.uniform(0.7, 1.13), rng.uniform(-np.pi, np.pi)
    view = rotate_about(_X, pitch + np.pi) @ rotate_about(_Y, yaw)
    pose[0] = matrices_to_vectors(view @ vectors_to_matrices(pose[0]))
    return Plan(family, pose.reshape(-1).round(6), sample_betas(rng))


def draw_split(studio: Studio, folder: Path, split: str, seeds: range) -> tuple[dict, list[TSVRow]]:
    """Draw photos; gives the json of a labeller and rows with the truth."""
    images, annotations, rows = [], [], []
    for seed in seeds:
        rng = np.random.default_rng((SEED, seed))
        plan = plan_from_above(rng, studio.figure.rest_joints)
        sample = studio.draw(rng, plan, studio.pose([plan])[0])
        name = f'{split}_{seed:05d}.jpg'
        (folder / 'photos' / name).write_bytes(sample.image)
        height, width = cv2.imdecode(np.frombuffer(sample.image, np.uint8), 1).shape[:2]
        x1, y1, x2, y2 = np.clip(sample.label['people'][0]['box'], 0, [*SIZE, *SIZE]).tolist()
        points = np.array(sample.label['2d_joints'])[J24_TO_COCO17]
        images.append({'id': seed, 'file_name': name, 'width': width, 'height': height})
        annotations.append(
            {
                'id': seed, 'image_id': seed, 'category_id': 1, 'bbox': [x1, y1, x2 - x1, y2 - y1],
                'keypoints': np.column_stack([points[:, :2], 2 * points[:, 2]]).ravel().tolist(),
            }
        )  # fmt: skip
        rows.append(TSVRow(name, sample.image, sample.label, (height, width)))
    categories = [{'id': 1, 'name': 'person'}]
    return {'images': images, 'annotations': annotations, 'categories': categories}, rows


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('out', type=Path)
    parser.add_argument('--train', type=int, default=200)
    parser.add_argument('--test', type=int, default=100)
    parser.add_argument('--backgrounds', help='folder of photos without people')
    options = parser.parse_args(argv)
    (options.out / 'photos').mkdir(parents=True, exist_ok=True)
    studio = Studio('body', SIZE, 'photo', options.backgrounds)
    first = 0
    for split, count in (('train', options.train), ('test', options.test)):
        content, rows = draw_split(studio, options.out, split, range(first, first + count))
        write_json(options.out / f'{split}.json', content)
        if split == 'test':
            write_tsv_set(options.out, 'test', rows)
        first += count
    print(json.dumps({'photos': first, 'folder': str(options.out)}))


if __name__ == '__main__':
    main()
