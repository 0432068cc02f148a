# SPDX-License-Identifier: Apache-2.0
"""What is measured of one row, and in which rows something is wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from fastmetro_mm.dataset_tools.inspection.label_mesh import LabelMesh
from fastmetro_mm.dataset_tools.inspection.sample_image import label_pred_cam, trusted_points
from fastmetro_mm.datasets.mesh_dataset import MeshTSVDataset
from fastmetro_mm.datasets.transforms.crop_geometry import (
    apply_affine,
    crop_to_image_matrix,
    crop_window,
    invert_affine,
)
from fastmetro_mm.datasets.transforms.loading import decode_image
from fastmetro_mm.errors import InputError
from fastmetro_mm.images.decoding import decode_whole

_CROP = 224
_ENOUGH_JOINTS = 12  # to speak of a disagreement where no camera fits
# Beyond these a row is shown to the user. METRO drops fits of Human3.6M at 50 mm.
MAX_MESH_ERROR = 0.05  # metres, mean over joints
MAX_PROJECTION_ERROR = 0.06  # of the box side; perspective and lenses explain about 0.02
MAX_OUTSIDE = 0.5  # share of the labelled joints
MAX_BETA = 5.0
MIN_BOX, MAX_BOX = 20.0, 4.0  # px; times the longer side of the image

PROBLEMS = {
    'unusable': 'cannot be read (evaluation stops there, training skips it)',
    'damaged': 'image is damaged, what is missing of it is grey in training',
    'image_size': 'image has another size than hw.tsv says',
    'box_size': f'box below {MIN_BOX:.0f} px, or above {MAX_BOX:.0f} times the image',
    'box_outside': 'centre of the box lies outside of the image',
    'joints_outside': f'more than {100 * MAX_OUTSIDE:.0f} % of the 2D joints outside of the image',
    'no_label': 'neither 2D joints nor 3D joints nor a mesh',
    'empty_joints': 'has_2d or has_3d is 1 but no joint carries confidence',
    'projection': f'2D and 3D joints disagree by more than {100 * MAX_PROJECTION_ERROR:.0f} % '
    'of the box',
    'mesh': f'mesh and 3D joints disagree by more than {1000 * MAX_MESH_ERROR:.0f} mm',
    'betas': f'a shape coefficient beyond {MAX_BETA:.0f}',
    'duplicate': 'same image, box and labels as an earlier row',
}
"""Kinds of problem with an explanation; only the first makes a set fail."""


@dataclass
class RowFacts:
    """Measurements of one row."""

    index: int  # number of the sample
    key: str = ''  # image key
    problems: list[str] = field(default_factory=list)  # names from `PROBLEMS`
    error: str | None = None  # message of an unusable row
    damage: str = ''  # what is wrong with a damaged image
    digest: bytes = b''  # hash of image, box and labels
    # measurements by name; NaN where they do not apply
    numbers: dict[str, float] = field(default_factory=dict)
    gender: str = 'none'  # as in the label


def check_row(dataset: MeshTSVDataset, index: int, mesh: LabelMesh) -> RowFacts:
    """Open, decode and measure one row.

    Args:
        dataset: The set, with `on_error='raise'` and no pipeline.
        index: Number of the sample.
        mesh: Poses the labelled mesh where it can.

    Returns:
        Facts and problems; never raises for a bad row.
    """
    facts = RowFacts(index)
    try:
        info = dataset.get_data_info(index)
        facts.key, facts.gender = info['img_key'], info['gender']
        image = decode_image(info['img_bytes'])
    except (ValueError, MemoryError) as error:
        text = str(error) or 'not enough memory'
        if not facts.key:
            facts.error = text
        else:
            facts.error = text if facts.key in text else f'{dataset.where(index)}: {text}'
        facts.problems.append('unusable')
        return facts
    try:
        decode_whole(info['img_bytes'])
    except InputError as error:
        facts.damage = str(error)
        facts.problems.append('damaged')
    height, width = image.shape[:2]
    numbers = facts.numbers
    numbers.update(image_width=width, image_height=height)
    if info.get('ori_shape', (height, width)) != (height, width):
        facts.problems.append('image_size')
    facts.digest = _digest(info)
    if 'center' in info:
        _check_box(facts, info, width, height)
        _check_labels(facts, info, width, height)
        _check_agreement(facts, info, mesh)
    return facts


def _digest(info: dict) -> bytes:
    digest = hashlib.blake2b(info['img_bytes'], digest_size=12)
    for name in ('center', 'scale', 'joints_2d', 'joints_3d', 'pose', 'betas'):
        if name in info:
            digest.update(np.asarray(info[name], np.float64).tobytes())
    return digest.digest()


def _check_box(facts: RowFacts, info: dict, width: int, height: int) -> None:
    side = 200 * info['scale']
    facts.numbers.update(scale=info['scale'], box_side=side, box_to_image=side / max(width, height))
    if side < MIN_BOX or side > MAX_BOX * max(width, height):
        facts.problems.append('box_size')
    if not (0 <= info['center'][0] <= width and 0 <= info['center'][1] <= height):
        facts.problems.append('box_outside')


def _check_labels(facts: RowFacts, info: dict, width: int, height: int) -> None:
    has = {name: bool(info[f'has_{name}']) for name in ('2d', '3d', 'smpl')}
    facts.numbers.update({f'has_{name}': float(flag) for name, flag in has.items()})
    if not any(has.values()):
        facts.problems.append('no_label')
    points = info['joints_2d']
    seen = trusted_points(info)
    if (has['2d'] and not seen.any()) or (has['3d'] and not (info['joints_3d'][:, 3] > 0).any()):
        facts.problems.append('empty_joints')
    if seen.any():
        inside = ((points[seen, :2] >= 0) & (points[seen, :2] <= (width, height))).all(1)
        facts.numbers.update(joints_2d=float(seen.sum()), outside_image=1 - float(inside.mean()))
        if 1 - inside.mean() > MAX_OUTSIDE:
            facts.problems.append('joints_outside')
    if has['smpl']:
        facts.numbers['largest_beta'] = float(np.abs(info['betas']).max())
        if facts.numbers['largest_beta'] > MAX_BETA:
            facts.problems.append('betas')


def _check_agreement(facts: RowFacts, info: dict, mesh: LabelMesh) -> None:
    joints = info['joints_3d'][:, :3]
    trusted = (info['joints_3d'][:, 3] > 0) & bool(info['has_3d'])
    posed = mesh(info)
    if posed is not None and trusted.any():
        a, b = posed[1][trusted], joints[trusted]
        # Both about their own mean: the labelled root may be another joint.
        error = float(np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1).mean())
        facts.numbers['mesh_error_mm'] = 1000 * error
        if error > MAX_MESH_ERROR:
            facts.problems.append('mesh')
    if trusted.any():
        error = _projection_error(info, joints, trusted)
    elif posed is not None:
        error = _projection_error(info, posed[1], None)
    else:
        return
    if error is not None:
        facts.numbers['projection_error'] = error
        if error > MAX_PROJECTION_ERROR:
            facts.problems.append('projection')


def _projection_error(
    info: dict, points_3d: np.ndarray, trusted: np.ndarray | None
) -> float | None:
    """RMS distance of 2D labels from the best weak-perspective image of 3D ones, of the box."""
    window = crop_window(info['center'], info['scale'], _CROP)
    matrix = invert_affine(crop_to_image_matrix(window, _CROP, 0.0, False))
    points = np.array(info['joints_2d'], np.float64)
    points[:, :2] = 2 * apply_affine(points[:, :2], matrix) / _CROP - 1
    if trusted is not None:
        points[~trusted, 2] = 0
    sample = {'joints_2d': points, 'has_2d': info['has_2d']}
    pred_cam = label_pred_cam(points_3d, sample)
    seen = trusted_points(sample)
    if pred_cam is None:
        # no positive scale: the best image of the joints is upside down
        return 1.0 if seen.sum() >= _ENOUGH_JOINTS else None
    placed = pred_cam[0] * (points_3d[seen, :2] + pred_cam[1:])
    return float(np.sqrt(((placed - points[seen, :2]) ** 2).sum(1).mean()) / 2)
