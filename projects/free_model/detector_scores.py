# SPDX-License-Identifier: Apache-2.0
"""Recall, precision and framing of the person detector on drawn images with several people.

``python -m projects.free_model.detector_scores FOLDER``, where ``FOLDER`` was filled by
``projects.free_model.crowds``. A person is found if a box of its own overlaps the mesh's box, cut
at the image's edge, by 0.5.
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.apis.detector_free import FreeDetector
from fastmetro_mm.apis.overlap import pairwise_iou

THRESHOLDS = (0.15, 0.2, 0.3)
SIZES = (64, 128, 256)  # limits of the sizes that recall is told for, pixels


def match(boxes: np.ndarray, true: np.ndarray) -> dict[int, int]:
    """Row of the true box for every row of a found one that has one, best overlap first."""
    overlap = pairwise_iou(boxes, true)
    pairs: dict[int, int] = {}
    for index in np.argsort(-overlap, axis=None):
        row, column = divmod(int(index), len(true))
        if overlap[row, column] <= 0.5:
            break
        if row not in pairs and column not in pairs.values():
            pairs[row] = column
    return pairs


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    args = parser.parse_args()
    labels = json.loads((args.folder / 'people.json').read_text(encoding='utf-8'))
    detector = FreeDetector(score_threshold=min(THRESHOLDS))
    scenes, start = [], time.process_time()
    for name, people in labels.items():
        image = cv2.imread(str(args.folder / name))[..., ::-1].copy()
        found = detector(image)
        meshes = np.array([person['mesh_box'] for person in people])
        visible = np.array([person['visible'] for person in people])
        boxes = np.array([box.bbox for box in found]).reshape(-1, 4)
        scores = np.array([box.score for box in found])
        scenes.append((boxes, scores, meshes, visible, np.array(image.shape[1::-1])))
    print(f'{(time.process_time() - start) / len(scenes):.2f} s of CPU an image')
    for threshold in THRESHOLDS:
        recall: dict[str, list[bool]] = {}
        framing, right, false = [], 0, 0
        for boxes, scores, meshes, visible, size in scenes:
            rows = boxes[scores > threshold]
            pairs = match(rows, meshes.clip(0, np.tile(size, 2))) if len(rows) else {}
            right, false = right + len(pairs), false + len(rows) - len(pairs)
            sides = (meshes[:, 2:] - meshes[:, :2]).max(axis=1)
            for number in np.flatnonzero(visible > 0.5):
                group = f'side class {np.searchsorted(SIZES, sides[number])} of {SIZES}'
                for key in ('all', group):
                    recall.setdefault(key, []).append(number in pairs.values())
            whole = ((meshes >= 0) & (meshes <= np.tile(size, 2))).all(axis=1) & (visible > 0.8)
            for row, number in pairs.items():
                if whole[number]:
                    box, mesh, side = rows[row], meshes[number], sides[number]
                    moved = np.linalg.norm(box[:2] + box[2:] - mesh[:2] - mesh[2:]) / 2
                    framing.append(((box[2:] - box[:2]).max() / side, moved / side))
        ratio, moved = np.array(framing).T
        print(f'score > {threshold}: precision {right / max(right + false, 1):.3f} ({false} false)')
        for key in sorted(recall):
            print(f'  found {np.mean(recall[key]):.3f} of {len(recall[key])} ({key})')
        print(
            f'  side / mesh side {ratio.mean():.3f} (sd {ratio.std():.3f}), middle moved '
            f'{moved.mean():.3f} (95 %: {np.percentile(moved, 95):.3f}), {len(ratio)} people'
        )


if __name__ == '__main__':
    main()
