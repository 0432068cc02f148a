# SPDX-License-Identifier: Apache-2.0
"""Scores of the shipped body model on photos: the rows of its model card.

Usage: python -m projects.free_model.lifting.photos --h36m FOLDER --photos FOLDER \
           --box 000000000785.jpg 280 44 499 391

``--h36m`` holds ``test_h36m.npz`` in SPIN's layout and ``images/``; ``--photos`` any images. Those
without ``--box`` are crops of one person already. Neither is part of this project.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmpose.registry import MODELS
from torch import Tensor

from fastmetro_mm.body.joint_sets import J24_TO_J14
from fastmetro_mm.config_files import config_path
from fastmetro_mm.engine.cli import OneLineParser, friendly_errors
from fastmetro_mm.errors import MissingFileError
from fastmetro_mm.evaluation.functional import pa_mpjpe
from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from fastmetro_mm.model_zoo import load_weights
from fastmetro_mm.models.heads.keypoint_fit import KeypointFit
from projects.free_model.lifting.squares import SURE, as_input, cut_square

PADDING = 1.2
CLOSE = 0.2
"""Distance, in torso lengths, that is right."""
LIMBS, SHOULDERS, HIPS = slice(5, 17), [5, 6], [11, 12]  # of COCO's 17


@dataclass(frozen=True)
class Photo:
    """A photo of one person.

    Attributes:
        name: File name.
        crop: (256, 256, 3) uint8 RGB.
        joints: True joints of the score, metres, where they are known. (14, 3)
        pose: True SMPL pose, where it is known. (72,)
    """

    name: str
    crop: np.ndarray
    joints: np.ndarray | None = None
    pose: np.ndarray | None = None


def cut(path: Path, center: np.ndarray | None = None, side: float | None = None) -> np.ndarray:
    """The square of ``side`` pixels about ``center``, or all of the image, as a crop."""
    image = cv2.imread(str(path))
    if image is None:
        raise MissingFileError(f'{path}: no image there')
    size = np.array(image.shape[1::-1])
    center = size / 2 if center is None else center
    return cut_square(image, center, size.max() if side is None else side)


def read_h36m(folder: Path, crops: int = 1) -> Iterator[Photo]:
    """Photos with true joints and poses; of several crops each is moved and scaled a little."""
    rng = np.random.default_rng(0)
    with np.load(folder / 'test_h36m.npz', allow_pickle=False) as rows:
        names, joints = rows['imgname'], rows['S'][:, list(J24_TO_J14), :3]
        for number, name in enumerate(map(str, names)):
            side = 200.0 * rows['scale'][number]
            for _ in range(crops):
                center, length = rows['center'][number], side
                if crops > 1:
                    center = center + rng.normal(0, 0.03, 2) * side
                    length = side * float(np.exp(rng.normal(0, 0.08)))
                crop = cut(folder / 'images' / name, center, length)
                yield Photo(name, crop, joints[number], rows['pose'][number])


def read_photos(folder: Path, boxes: dict[str, np.ndarray]) -> Iterator[Photo]:
    """Photos of a folder, JPEG and PNG."""
    files = sorted(path for end in ('jpg', 'png') for path in folder.glob(f'*.{end}'))
    for path in files:
        box = boxes.get(path.name)
        if box is None:
            yield Photo(path.name, cut(path))
        else:
            side = PADDING * (box[2:] - box[:2]).max()
            yield Photo(path.name, cut(path, (box[:2] + box[2:]) / 2, side))


class Scorer:
    """The shipped network, asked once with and once without its last steps."""

    def __init__(self) -> None:
        model = Config.fromfile(config_path('open_body')).model
        self.network = MODELS.build(model)
        self.network.load_state_dict(load_weights('open_body'))
        self.network.eval()
        self.steps = self.network.head.fit_steps
        self.regressor = KeypointFit(self.network.body).regressor

    @torch.inference_mode()
    def __call__(self, photo: Photo) -> dict[str, float]:
        """Scores of a photo; ``floor`` is that of the true pose on the mean body."""
        image = as_input(photo.crop)
        tokens = self.network.extract_feat(image)
        row = {}
        for name, steps in (('', self.steps), (' without the last steps', 0)):
            self.network.head.fit_steps = steps
            answer = self.network.head(tokens)
            places = weak_perspective_project(self.regressor(answer.vertices), answer.pred_cam)
            share = close_share(places[0], tokens.keypoints[0])
            if share is not None:
                row[f'close{name}'] = share
            if photo.joints is not None:
                error = pa_mpjpe(answer.joints.numpy(), photo.joints[None])
                row[f'PA-MPJPE{name}'] = 1000 * float(error[0])
                if self.steps == steps:
                    both = self.network.infer(image)
                    error = pa_mpjpe(both.joints.numpy(), photo.joints[None])
                    row['PA-MPJPE with the mirror image'] = 1000 * float(error[0])
        if photo.joints is not None and photo.pose is not None:
            body, pose = self.network.body, torch.from_numpy(photo.pose).float().view(1, 24, 3)
            mesh = body.pose(axis_angle_to_rotmat(pose), torch.zeros(1, 10))
            joints = body.joints(mesh.vertices).numpy()
            row['floor'] = 1000 * float(pa_mpjpe(joints, photo.joints[None])[0])
        return row


def close_share(places: Tensor, keypoints: Tensor) -> float | None:
    """Share of MoveNet's confident limb key points (17, 3) that the body (17, 2) lies on.

    None where it is confident of none.
    """
    seen = keypoints[:, :2].float()
    torso = (seen[SHOULDERS].mean(0) - seen[HIPS].mean(0)).norm()
    off = (places - seen).norm(dim=-1)[LIMBS]
    sure = keypoints[LIMBS, 2] > SURE
    return float((off < CLOSE * torso)[sure].float().mean()) if sure.any() else None


def build_parser() -> argparse.ArgumentParser:
    """Command line."""
    parser = OneLineParser(description=__doc__.split('\n')[0])
    parser.add_argument('--h36m', type=Path, help='folder of test_h36m.npz and images/')
    parser.add_argument('--photos', type=Path, help='folder of images of one person each')
    parser.add_argument('--box', nargs=5, action='append', default=[], help='NAME X1 Y1 X2 Y2')
    parser.add_argument('--crops', type=int, default=1, help='of each Human3.6M image')
    parser.add_argument('--skip', nargs='*', default=(), help='names of images to leave out')
    return parser


def main(argv: list[str] | None = None) -> None:
    """Print a row a photo and the means."""
    with friendly_errors():
        options = build_parser().parse_args(argv)
        boxes = {name: np.array(numbers, float) for name, *numbers in options.box}
        photos: list[Photo] = []
        if options.h36m:
            photos += read_h36m(options.h36m, options.crops)
        if options.photos:
            photos += (p for p in read_photos(options.photos, boxes) if p.name not in options.skip)
        if not photos:
            raise MissingFileError('no photos: give --h36m, --photos or both')
        scorer, rows = Scorer(), []
        for photo in photos:
            rows.append(scorer(photo))
            print(json.dumps({'photo': photo.name} | {k: round(v, 3) for k, v in rows[-1].items()}))
        names = dict.fromkeys(name for row in rows for name in row)
        means = {name: float(np.mean([r[name] for r in rows if name in r])) for name in names}
        print(json.dumps({'photos': len(rows)} | {k: round(v, 3) for k, v in means.items()}))


if __name__ == '__main__':
    main()
