# SPDX-License-Identifier: Apache-2.0
"""What makes a labelled person hard: cut off, hidden, seen from where, how large, doing what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from fastmetro_mm.evaluation.sample_access import get_field, has_label, read_instance, to_array
from fastmetro_mm.geometry.camera import crop_to_image

_SHARES = ((0.0, 'none'), (0.1, 'up to 10 %'), (0.3, '10 to 30 %'), (1.0, 'over 30 %'))
_SIZES = ((64, 'under 64 px'), (128, '64 to 128 px'), (256, '128 to 256 px'))
GROUPS: dict[str, tuple[str, ...]] = {
    'truncation': tuple(name for _, name in _SHARES),
    'occlusion': tuple(name for _, name in _SHARES),
    'view': ('front', 'side', 'back'),
    'height of the camera': ('from above', 'level', 'from below'),
    'size': (*(name for _, name in _SIZES), 'over 256 px'),
    'pose': (),
}
"""Groups of every attribute in the order of tables; those of ``pose`` are the labels' own."""

_STEEP = math.sin(math.radians(30))


def share_group(share: float) -> str:
    """Group of a share of 0 to 1."""
    return next(name for limit, name in _SHARES if share <= limit or limit == 1.0)


def size_group(side: float) -> str:
    """Group of the longer side of a person's crop, pixels of the image."""
    return next((name for limit, name in _SIZES if side < limit), GROUPS['size'][-1])


def view_groups(global_orient: np.ndarray) -> tuple[str, str]:
    """From where the camera sees a body.

    Args:
        global_orient: Axis-angle of the root against the camera, radians. (3,)

    Returns:
        Group of ``view``: front where the chest points at the camera by less than 45 degrees, back
        where it points away; and of ``height of the camera``: from above where the body's axis
        leans to the camera by more than 30 degrees.
    """
    up, forward = cv2.Rodrigues(np.asarray(global_orient, np.float64))[0][:, 1:].T
    across = math.hypot(forward[0], forward[2])
    towards = -forward[2] / across if across > 1e-6 else 0.0
    view = 'front' if towards > math.sqrt(0.5) else 'back' if towards < -math.sqrt(0.5) else 'side'
    # camera axes point right, down and away: a head that leans towards the lens is seen from above
    height = 'from above' if up[2] < -_STEEP else 'from below' if up[2] > _STEEP else 'level'
    return view, height


def outside_share(joints_2d: np.ndarray, matrix: np.ndarray, side: float, size: Sequence) -> float:
    """Share of labelled joints outside the image.

    Args:
        joints_2d: Places on the crop in [-1, 1] and confidence. (J, 3)
        matrix: Map from crop pixels to image pixels. (2, 3)
        side: Side of the crop, pixels.
        size: Height and width of the image, pixels.
    """
    places = crop_to_image((joints_2d[:, :2] + 1) * 0.5 * side, matrix)
    height, width = size
    inside = (places >= 0).all(1) & (places[:, 0] <= width) & (places[:, 1] <= height)
    return float(1 - inside.mean())


def attributes_of(sample: Any) -> dict[str, str]:
    """Groups that a sample belongs to; an attribute that its labels do not tell is left out.

    Args:
        sample: Data sample with ``gt_instance_labels``; of synthetic sets the metainfo has
            ``hidden`` and ``pose_family``.
    """
    groups: dict[str, str] = {}
    labels = get_field(sample, 'gt_instance_labels')
    boxes = get_field(sample, 'gt_instances')
    known = [get_field(sample, name) for name in ('crop_to_image', 'input_size', 'ori_shape')]
    if has_label(sample, 'has_2d') and all(value is not None for value in known):
        matrix, side, size = known
        joints = to_array(get_field(labels, 'joints_2d'))[0]
        side = float(np.max(side))
        groups['truncation'] = share_group(outside_share(joints, np.asarray(matrix), side, size))
    if (hidden := get_field(sample, 'hidden')) is not None:
        groups['occlusion'] = share_group(float(hidden))
    pose = read_instance(sample, 'gt_instance_labels', 'pose')
    if has_label(sample, 'has_smpl') and pose is not None and pose.shape[1] == 72:
        views = view_groups(to_array(pose)[0, :3])
        groups['view'], groups['height of the camera'] = views
    scales = get_field(boxes, 'bbox_scales')
    if scales is not None:
        groups['size'] = size_group(float(np.max(to_array(scales))))
    if family := get_field(sample, 'pose_family'):
        groups['pose'] = str(family)
    return groups


def order_of(attribute: str, found: Mapping[str, Any]) -> list[str]:
    """Groups of an attribute that were found, in the order of tables."""
    fixed = [name for name in GROUPS[attribute] if name in found]
    return fixed + sorted(name for name in found if name not in GROUPS[attribute])
