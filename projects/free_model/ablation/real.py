# SPDX-License-Identifier: Apache-2.0
"""Real people with known joints, as crops: films of calibrated cameras, Human3.6M images."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.body.joint_sets import J14, index_map
from projects.free_model.ablation.evidence import Crop
from projects.free_model.lifting.filmed import LIMBS, View, read_views
from projects.free_model.lifting.photos import PADDING, read_h36m
from projects.free_model.lifting.squares import CROP, cut_square

FRAMES, H36M_CROPS, CAMERAS = 12, 16, 4
LOOKS = ('as they are', 'cut off', 'hidden in part', 'blurred')
"""How filmed people are shown; films of one or two people have few who are hard to see."""
_CUT, _HIDDEN, _COARSE = 0.55, 0.55, 40
_LIMB_ROWS = list(index_map(LIMBS, J14))


def filmed_crops(folder: Path) -> Iterator[tuple[str, Crop]]:
    """Everybody in 12 frames of the four cameras, and how they are shown.

    What the cameras show of one person at one instant belongs together.
    """
    for number, view in enumerate(read_views(folder, FRAMES)):
        rng = np.random.default_rng(number)
        for look in LOOKS:
            yield look, _crop(view, look, number // CAMERAS, rng)


def _crop(view: View, look: str, cluster: int, rng: np.random.Generator) -> Crop:
    image, box = view.image, view.box.copy()
    extent = box[2:] - box[:2]
    if look == 'cut off':  # the image ends at the hips, and the box with it
        box[3] = box[1] + _CUT * extent[1]
        image = image[: max(int(box[3]), 1)]
    elif look == 'hidden in part':
        size = _HIDDEN * extent
        corner = box[:2] + rng.random(2) * (extent - size)
        left, top, right, bottom = (int(n) for n in np.maximum([*corner, *corner + size], 0))
        image = image.copy()
        image[top:bottom, left:right] = rng.integers(0, 256, 3)
    side, center = PADDING * (box[2:] - box[:2]).max(), (box[:2] + box[2:]) / 2
    crop = cut_square(image, center, side)
    if look == 'blurred':
        coarse = cv2.resize(crop, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
        crop = cv2.resize(coarse, (CROP, CROP), interpolation=cv2.INTER_LINEAR)
    joints, places = np.full((14, 3), np.nan), np.full((14, 2), np.nan)
    joints[_LIMB_ROWS] = view.joints
    places[_LIMB_ROWS] = (view.keypoints - center) * (2 / side)
    return Crop(crop, joints, places, cluster)


def h36m_crops(folder: Path) -> Iterator[Crop]:
    """Each image in 16 moved and scaled crops."""
    names: dict[str, int] = {}
    for photo in read_h36m(folder, H36M_CROPS):
        assert photo.joints is not None
        cluster = names.setdefault(photo.name, len(names))
        yield Crop(photo.crop, photo.joints, np.full((14, 2), np.nan), cluster)
