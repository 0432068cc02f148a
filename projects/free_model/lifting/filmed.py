# SPDX-License-Identifier: Apache-2.0
"""Scores of the shipped body model on people filmed by calibrated cameras.

Usage: pip download --no-deps pose2sim==0.10.49
       unzip -q pose2sim-*.whl 'Pose2Sim/Demo_*' -d FILMS
       python -m projects.free_model.lifting.filmed FILMS/Pose2Sim/Demo_SinglePerson

The demos of Pose2Sim (BSD-3-Clause) are short films of four cameras and their calibration. Truth is
what the views say together: MoveNet's key points, each seen surely by three cameras at least, meet
in space; a point counts where they meet within ``MEET`` pixels. The model sees one view at a time.
Nothing of it is trained on.
"""

import argparse
import itertools
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.apis.detector_free import FreeDetector
from fastmetro_mm.body.joint_sets import J14, index_map
from fastmetro_mm.engine.cli import OneLineParser, friendly_errors
from fastmetro_mm.errors import MissingFileError
from fastmetro_mm.evaluation.functional import pa_mpjpe
from fastmetro_mm.models.backbones import MoveNet
from projects.free_model.lifting.squares import SURE, as_input, cut_square

LIMBS = (
    'L_Shoulder', 'R_Shoulder', 'L_Elbow', 'R_Elbow', 'L_Wrist', 'R_Wrist',
    'L_Hip', 'R_Hip', 'L_Knee', 'R_Knee', 'L_Ankle', 'R_Ankle',
)  # fmt: skip
"""COCO's key points 5 to 16."""
COCO_LIMBS = slice(5, 17)
MEET, VIEWS = 15.0, 3
CLOSE = 0.2
ENOUGH = 9
PADDING, BORDER = 1.25, 0.08


@dataclass(frozen=True)
class Camera:
    """A calibrated camera.

    Attributes:
        rotation: World to camera axes, x right, y down, z forward. (3, 3)
        place: Its place in the world, metres. (3,)
        matrix: Intrinsics, pixels. (3, 3)
        distortion: OpenCV's k1, k2, p1, p2. (4,)
    """

    rotation: np.ndarray
    place: np.ndarray
    matrix: np.ndarray
    distortion: np.ndarray

    @property
    def projection(self) -> np.ndarray:
        """World to undistorted, normalised image: (3, 4)."""
        return np.column_stack([self.rotation, -self.rotation @ self.place])

    def rays(self, points: np.ndarray) -> np.ndarray:
        """Undistorted, normalised places of pixels: (N, 2) to (N, 2)."""
        return cv2.undistortPoints(points[:, None].astype(float), self.matrix, self.distortion)[
            :, 0
        ]

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels of points of the world: (N, 3) to (N, 2)."""
        turn = cv2.Rodrigues(self.rotation)[0]
        moved = -self.rotation @ self.place
        return cv2.projectPoints(points, turn, moved, self.matrix, self.distortion)[0][:, 0]


def read_cameras(path: Path) -> list[Camera]:
    """Cameras of a Qualisys calibration: rows x right, y up, z back; 64ths of pixels."""
    if not path.exists():
        raise MissingFileError(f'{path}: not found; unpack a demo of Pose2Sim, see --help')
    cameras = []
    for node in ElementTree.parse(path).getroot().iter('camera'):
        place, lens = node.find('transform'), node.find('intrinsic')
        assert place is not None and lens is not None
        rows = np.array([[float(place.get(f'r{i}{j}', '')) for j in (1, 2, 3)] for i in (1, 2, 3)])
        u, v, cu, cv, k1, k2, p1, p2 = (
            float(lens.get(name, ''))
            for name in (
                'focalLengthU', 'focalLengthV', 'centerPointU', 'centerPointV', 'radialDistortion1',
                'radialDistortion2', 'tangentalDistortion1', 'tangentalDistortion2',
            )
        )  # fmt: skip
        matrix = np.array([[u / 64, 0, cu / 64], [0, v / 64, cv / 64], [0, 0, 1]])
        metres = np.array([float(place.get(axis, '')) for axis in 'xyz']) / 1000
        cameras.append(
            Camera(np.diag([1, -1, -1]) @ rows, metres, matrix, np.array([k1, k2, p1, p2]))
        )
    return cameras


def meet(cameras: list[Camera], seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points in space that views agree on.

    Args:
        cameras: C cameras.
        seen: Key points x, y in pixels and scores of one person. (C, K, 3)

    Returns:
        Points, metres, NaN where fewer than three sure views agree (K, 3); how many agree, less
        a part of one for their largest distance (K,).
    """
    points, agree = np.full((seen.shape[1], 3), np.nan), np.zeros(seen.shape[1])
    rays = np.stack([c.rays(s[:, :2]) for c, s in zip(cameras, seen, strict=True)])
    for k in range(seen.shape[1]):
        sure = np.flatnonzero(seen[:, k, 2] > SURE)
        for count in range(len(sure), VIEWS - 1, -1):
            best = (np.inf, None)
            for some in itertools.combinations(sure, count):
                rows = [
                    rays[c, k, axis] * cameras[c].projection[2] - cameras[c].projection[axis]
                    for c in some
                    for axis in (0, 1)
                ]
                point = np.linalg.svd(np.array(rows))[2][-1]
                point = point[:3] / point[3]
                away = max(
                    np.linalg.norm(cameras[c].project(point[None])[0] - seen[c, k, :2])
                    for c in some
                )
                best = min(best, (away, point), key=lambda x: x[0])
            if best[0] < MEET:
                agree[k], points[k] = count - 0.5 * best[0] / MEET, best[1]
                break
    return points, agree


def frames(path: Path, numbers: list[int]) -> list[np.ndarray]:
    """Frames of a film, BGR."""
    film, found = cv2.VideoCapture(str(path)), []
    for number in range(max(numbers) + 1):
        good, image = film.read()
        if not good:
            raise MissingFileError(f'{path}: frame {number} cannot be read')
        if number in numbers:
            found.append(image)
    return found


class KeypointReader:
    """MoveNet on what a box shows, looked at again in the box of what it found."""

    def __init__(self) -> None:
        self.network = MoveNet(parts=('deep',), with_keypoints=True, weights='movenet_thunder')
        self.network.init_weights()
        self.network.eval()

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Key points x, y, pixels, and scores of the person in a box: (17, 3)."""
        found = np.zeros((17, 3))
        for _ in range(3):
            side, center = PADDING * (box[2:] - box[:2]).max(), (box[:2] + box[2:]) / 2
            x = as_input(cut_square(image, center, side))
            found = self.network(x)[0][0].numpy().astype(float)
            found[:, :2] = center + found[:, :2] * side / 2
            sure = found[found[:, 2] > SURE, :2]
            if len(sure) < 6:
                break
            box = np.concatenate([sure.min(0), sure.max(0)])
            box += np.array([-0.06, -0.06, 0.06, 0.06]) * (box[3] - box[1])
        return found


def match(
    cameras: list[Camera], seen: list[list[np.ndarray]]
) -> list[tuple[tuple[int, ...], np.ndarray]]:
    """Who is who in the views: the sets of people whose views agree most, one by one.

    Args:
        cameras: C cameras.
        seen: Key points (17, 3) of everybody each camera sees.

    Returns:
        For each person the number in every view, and the limbs in space (12, 3).
    """
    offers = []
    for some in itertools.product(*(range(len(people)) for people in seen)):
        chosen = np.stack([people[i][COCO_LIMBS] for people, i in zip(seen, some, strict=True)])
        points, agree = meet(cameras, chosen)
        offers.append((agree.sum(), (agree > 0).sum(), some, points))
    people: list[tuple[tuple[int, ...], np.ndarray]] = []
    for _, met, some, points in sorted(offers, key=lambda offer: offer[:2], reverse=True):
        others = (i == j for one, _ in people for i, j in zip(one, some, strict=True))
        if met >= ENOUGH and not any(others):
            people.append((some, points))
    return people


@dataclass(frozen=True)
class View:
    """One person in one frame of one camera.

    Attributes:
        image: Frame, BGR.
        box: x1, y1, x2, y2: of the true limbs on the image and of MoveNet's key points.
        joints: True limbs, metres, camera axes, NaN where they are not known. (12, 3)
        keypoints: True limbs on the image, pixels. (12, 2)
    """

    image: np.ndarray
    box: np.ndarray
    joints: np.ndarray
    keypoints: np.ndarray


def read_views(folder: Path, count: int) -> Iterator[View]:
    """Everybody in ``count`` frames of every camera."""
    cameras = read_cameras(folder / 'calibration' / 'Calib.qca.txt')
    films = sorted((folder / 'videos').glob('cam*.mp4'))
    if len(films) != len(cameras):
        raise MissingFileError(
            f'{folder}/videos: {len(cameras)} films expected, {len(films)} found'
        )
    length = min(int(cv2.VideoCapture(str(f)).get(cv2.CAP_PROP_FRAME_COUNT)) for f in films)
    numbers = [int(n) for n in np.linspace(0, length - 1, count)]
    finder, reader = FreeDetector(), KeypointReader()
    for images in zip(*(frames(film, numbers) for film in films), strict=True):
        seen = [
            [reader(image, person.bbox) for person in finder(image[..., ::-1])] for image in images
        ]
        for some, points in match(cameras, seen):
            for number, camera in enumerate(cameras):
                known = np.isfinite(points).all(1)
                places = np.full((12, 2), np.nan)
                places[known] = camera.project(points[known])
                found = seen[number][some[number]]
                shown = np.concatenate([places[known], found[found[:, 2] > SURE, :2]])
                low, high = shown.min(0), shown.max(0)
                margin = BORDER * (high - low).max()
                box = np.concatenate([low - margin, high + margin])
                joints = (points - camera.place) @ camera.rotation.T
                yield View(images[number], box, joints, places)


def score(inferencer: MeshInferencer, views: list[View]) -> dict[str, float]:
    """Scores over all views, millimetres; PCK of joints within 0.2 torso lengths, per cent."""
    aligned, close = [], []
    picked = list(index_map(LIMBS, J14))
    results = inferencer(
        [view.image for view in views], [[view.box] for view in views], keep_images=False
    )
    for view, result in zip(views, results, strict=True):
        person, known = result.people[0], np.isfinite(view.joints).all(1)
        joints = person.joints_3d[picked][known]
        aligned.append(1000 * float(pa_mpjpe(joints[None], view.joints[known][None])[0]))
        torso = np.linalg.norm(view.keypoints[:2].mean(0) - view.keypoints[6:8].mean(0))
        off = np.linalg.norm(person.keypoints[picked] - view.keypoints, axis=1)
        if np.isfinite(torso):
            close.append(100 * float((off[known] < CLOSE * torso).mean()))
    return {
        'views': len(views),
        'PA-MPJPE': round(float(np.mean(aligned)), 1),
        'median': round(float(np.median(aligned)), 1),
        'PCK@0.2': round(float(np.mean(close)), 1),
    }


def build_parser() -> argparse.ArgumentParser:
    """Command line."""
    parser = OneLineParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path, nargs='+', help='demos of Pose2Sim')
    parser.add_argument('--frames', type=int, default=12, help='of each camera')
    parser.add_argument('--speed', default='exact', choices=('exact', 'fast'))
    return parser


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    options = build_parser().parse_args(argv)
    with friendly_errors():
        inferencer = MeshInferencer(speed=options.speed)
        for folder in options.folder:
            scores = score(inferencer, list(read_views(folder, options.frames)))
            print(json.dumps({'film': folder.name, **scores}))


if __name__ == '__main__':
    main()
