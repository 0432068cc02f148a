# SPDX-License-Identifier: Apache-2.0
"""Recall, precision and framing of the person detector on drawn images with several people.

``python -m projects.free_model.detector_scores FOLDER``, where ``FOLDER`` was filled by
``projects.free_model.crowds``. A person is found if a box of its own overlaps the mesh's box, cut
at the image's edge, by 0.5. Told for MultiPose alone and for the whole detector.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.apis.detector_free import FreeDetector
from fastmetro_mm.apis.found_people import FoundPeople, person_boxes
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


@dataclass(frozen=True)
class Scene:
    """What was drawn in an image and what was found.

    Attributes:
        meshes: Boxes of the meshes, x1 y1 x2 y2. (N, 4)
        visible: Shares of the bodies that are seen. (N,)
        size: Width and height. (2,)
        boxes: Boxes found, x1 y1 x2 y2. (M, 4)
        scores: Confidences. (M,)
    """

    meshes: np.ndarray
    visible: np.ndarray
    size: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


def report(scenes: list[Scene], threshold: float) -> None:
    """Print recall, precision and framing at a threshold."""
    recall: dict[str, list[bool]] = {}
    framing, right, false = [], 0, 0
    for scene in scenes:
        rows, meshes, frame = scene.boxes[scene.scores > threshold], scene.meshes, scene.size
        pairs = match(rows, meshes.clip(0, np.tile(frame, 2))) if len(rows) else {}
        right, false = right + len(pairs), false + len(rows) - len(pairs)
        sides = (meshes[:, 2:] - meshes[:, :2]).max(axis=1)
        for number in np.flatnonzero(scene.visible > 0.5):
            group = f'side class {np.searchsorted(SIZES, sides[number])} of {SIZES}'
            for key in ('all', group):
                recall.setdefault(key, []).append(number in pairs.values())
        whole = ((meshes >= 0) & (meshes <= np.tile(frame, 2))).all(axis=1) & (scene.visible > 0.8)
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


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--scenes', type=int, help='only the first ones')
    args = parser.parse_args()
    labels = json.loads((args.folder / 'people.json').read_text(encoding='utf-8'))
    detector = FreeDetector(score_threshold=min(THRESHOLDS))
    crowds, seen, seconds = detector.crowds, [], []

    def recorded(image: np.ndarray, found: FoundPeople) -> FoundPeople:
        start = time.process_time()
        more = crowds(image, found)
        seconds.append(time.process_time() - start)
        seen.append(found)
        return more

    detector.crowds = recorded
    alone: list[Scene] = []
    both: list[Scene] = []
    start = time.process_time()
    for name in list(labels)[: args.scenes]:
        image = cv2.imread(str(args.folder / name))[..., ::-1].copy()
        seen.clear()
        people = detector(image)
        drawn = (
            np.array([person['mesh_box'] for person in labels[name]]),
            np.array([person['visible'] for person in labels[name]]),
            np.array(image.shape[1::-1]),
        )
        boxes = np.array([box.bbox for box in people]).reshape(-1, 4)
        scores = np.array([box.score for box in people])
        both.append(Scene(*drawn, boxes, scores))
        alone.append(Scene(*drawn, person_boxes(seen[0]), seen[0].scores) if seen else both[-1])
    spent = time.process_time() - start
    print(
        f'{spent / len(both):.2f} s of CPU an image, {sum(seconds) / len(both):.2f} of them for '
        f'NanoDet and what follows, in {len(seconds)} of {len(both)} images'
    )
    for title, scenes in (('MultiPose alone', alone), ('and NanoDet', both)):
        for threshold in THRESHOLDS:
            print(title, end=', ')
            report(scenes, threshold)


if __name__ == '__main__':
    main()
