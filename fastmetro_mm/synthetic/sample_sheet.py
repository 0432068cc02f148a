# SPDX-License-Identifier: Apache-2.0
"""A sheet of samples of a TSV set with their labelled joints, to look at what was made."""

import os
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.body.joint_sets import J24_TO_J14
from fastmetro_mm.body.skeletons import (
    FINGER_COLORS,
    HAND21_SKELETON,
    J14_SKELETON,
    LEFT_COLOR,
    MIDDLE_COLOR,
    RIGHT_COLOR,
)
from fastmetro_mm.datasets.mesh_dataset import MeshTSVDataset
from fastmetro_mm.datasets.transforms.loading import decode_image
from fastmetro_mm.visualization.contact_sheet import write_contact_sheet

_J14_COLORS = (RIGHT_COLOR,) * 3 + (LEFT_COLOR,) * 3
_J14_COLORS += (RIGHT_COLOR,) * 3 + (LEFT_COLOR,) * 3 + (MIDDLE_COLOR,) * 2


def _joint_color(kind: str, joint: int) -> tuple[int, int, int]:
    if kind == 'body':
        return _J14_COLORS[joint]
    return list(FINGER_COLORS.values())[(joint + 3) // 4]


def draw_joints(image: np.ndarray, keypoints: np.ndarray, kind: str) -> None:
    """Draws the labelled skeleton over an image, in place.

    Args:
        image: (H, W, 3) uint8 RGB.
        keypoints: (24, 3) or (21, 3) labelled points, pixels and visibility; the links of the 14
            evaluated joints are drawn for bodies (right orange, left green).
        kind: ``'body'`` or ``'hand'``.
    """
    points = keypoints[list(J24_TO_J14), :2] if kind == 'body' else keypoints[:, :2]
    # Far outside the image the drawing functions overflow.
    ends = np.clip(np.round(points), -10000, 10000).astype(int).tolist()
    for first, second in J14_SKELETON if kind == 'body' else HAND21_SKELETON:
        color = _joint_color(kind, max(first, second) if kind == 'hand' else first)
        cv2.line(image, ends[first], ends[second], color, 1, cv2.LINE_AA)
    for joint, end in enumerate(ends):
        cv2.circle(image, end, 2, _joint_color(kind, joint), -1, cv2.LINE_AA)


def write_sample_sheet(
    path: str | os.PathLike,
    yaml_file: str | os.PathLike,
    kind: str,
    count: int = 40,
    columns: int = 8,
    tile_height: int | None = None,
    with_joints: bool = True,
) -> Path:
    """Writes a sheet of the first samples of a set.

    Args:
        path: Image file to write.
        yaml_file: The yaml of the set.
        kind: ``'body'`` or ``'hand'``.
        count: How many samples, at most.
        columns: Samples in a row.
        tile_height: Height of an image on the sheet, pixels; as it is if None.
        with_joints: Draw the labelled joints.
    """
    body = 'smpl' if kind == 'body' else 'hand'
    dataset = MeshTSVDataset(str(yaml_file), body=body, test_mode=True)
    tiles = []
    for index in range(min(count, len(dataset))):
        info = dataset.get_data_info(index)
        image = decode_image(info['img_bytes'])
        if with_joints:
            draw_joints(image, info['joints_2d'], kind)
        tiles.append(('', image))
    return write_contact_sheet(path, tiles, columns, tile_height)
