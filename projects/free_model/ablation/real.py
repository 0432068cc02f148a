# SPDX-License-Identifier: Apache-2.0
"""Real people with known joints, as crops: films of calibrated cameras, Human3.6M images."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.body.joint_sets import J14, index_map
from projects.free_model.ablation.evidence import Crop
from projects.free_model.lifting.filmed import LIMBS, read_views
from projects.free_model.lifting.photos import CROP, PADDING, read_h36m

FRAMES, H36M_CROPS, CAMERAS = 12, 16, 4
_LIMB_ROWS = list(index_map(LIMBS, J14))


def filmed_crops(folder: Path) -> Iterator[Crop]:
    """Everybody in 12 frames of the four cameras; what one instant shows belongs together."""
    for number, view in enumerate(read_views(folder, FRAMES)):
        side = PADDING * (view.box[2:] - view.box[:2]).max()
        factor, center = CROP / side, (view.box[:2] + view.box[2:]) / 2
        matrix = np.column_stack([factor * np.eye(2), CROP / 2 - factor * center])
        matrix[:, 2] += 0.5 * factor - 0.5  # OpenCV counts from the centre of the first pixel
        joints, places = np.full((14, 3), np.nan), np.full((14, 2), np.nan)
        joints[_LIMB_ROWS] = view.joints
        places[_LIMB_ROWS] = (view.keypoints - center) * (2 / side)
        image = cv2.warpAffine(view.image, matrix, (CROP, CROP))[..., ::-1]
        yield Crop(image, joints, places, number // CAMERAS)


def h36m_crops(folder: Path) -> Iterator[Crop]:
    """Each image in 16 moved and scaled crops."""
    names: dict[str, int] = {}
    for photo in read_h36m(folder, H36M_CROPS):
        assert photo.joints is not None
        cluster = names.setdefault(photo.name, len(names))
        yield Crop(photo.crop, photo.joints, np.full((14, 2), np.nan), cluster)
