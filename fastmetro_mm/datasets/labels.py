# SPDX-License-Identifier: Apache-2.0
"""The label column of a TSV row: JSON text to checked arrays, and arrays to JSON fields.

Fields are those of the official loader (FastMETRO ``src/datasets/human_mesh_tsv.py``):
``center, scale, 2d_joints, 3d_joints, has_2d_joints, has_3d_joints, pose, betas, has_smpl`` and
an optional ``gender``. A body has 24 joints and 72 pose numbers, a hand 21 and 48.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from fastmetro_mm.body.genders import parse_gender
from fastmetro_mm.errors import DataRowError

# Far above any real value (8K video gives boxes below 10000 px); stops overflows and huge crops.
_MAX_VALUE = 1e6
_MAX_BOX_SIDE = 10000.0


@dataclass(frozen=True)
class LabelLayout:
    """Sizes of the label fields of one kind of body."""

    num_joints: int  # rows of ``2d_joints`` and ``3d_joints``
    pose_size: int  # length of the axis-angle pose
    root: int  # row of ``3d_joints`` that becomes the origin (pelvis or wrist)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the fields that may be absent."""
        return {
            '2d_joints': (self.num_joints, 3),
            '3d_joints': (self.num_joints, 4),
            'pose': (self.pose_size,),
            'betas': (10,),
        }


LAYOUTS = {'smpl': LabelLayout(24, 72, 14), 'hand': LabelLayout(21, 48, 0)}


def _numbers(label: dict, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Field as float64 array of the given shape, or None where it is absent."""
    value = label.get(name)
    if value is None:
        return None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError):
        array = None
    if array is None or array.dtype.kind not in 'iuf':  # text, null, ragged lists
        raise DataRowError(f'{name} does not hold numbers in shape {shape}')
    array = array.astype(np.float64, copy=False)
    if array.ndim == len(shape) + 1 and len(array) > 0:
        array = array[0]  # written one level deeper by some official scripts
    if array.shape != shape:
        raise DataRowError(f'{name} has shape {array.shape}, expected {shape}')
    if not np.isfinite(array).all() or np.abs(array).max(initial=0) > _MAX_VALUE:
        raise DataRowError(f'{name} holds a value that is not finite or above {_MAX_VALUE:g}')
    return array


def _flag(label: dict, name: str, present: bool) -> bool:
    value = label.get(name)
    if value is None:
        if present:
            raise DataRowError(f'{name} is missing')
        return False
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, (bool, int, float)) or value not in (0, 1):
        raise DataRowError(f'{name} is {str(value)[:20]!r}, expected 0 or 1')
    if value and not present:
        raise DataRowError(f'{name} is 1 but the labels are missing')
    return bool(value)


def _check(label: dict, layout: LabelLayout) -> dict:
    """The fields of a label object, for reading and for writing alike.

    Returns:
        Each field of the official label: numbers as float64 arrays or None, flags as bool,
        gender as text.
    """
    shapes = {'center': (2,), 'scale': (), **layout.shapes}
    fields: dict = {name: _numbers(label, name, shape) for name, shape in shapes.items()}
    if fields['center'] is None or fields['scale'] is None:
        raise DataRowError('center or scale is missing')
    if not 0 < 200 * fields['scale'] <= _MAX_BOX_SIDE:
        raise DataRowError(
            f'scale {float(fields["scale"]):g} means a box of {200 * float(fields["scale"]):g} px'
        )
    has_mesh = fields['pose'] is not None and fields['betas'] is not None
    for name, present in (
        ('has_2d_joints', fields['2d_joints'] is not None),
        ('has_3d_joints', fields['3d_joints'] is not None),
        ('has_smpl', has_mesh),
    ):
        fields[name] = _flag(label, name, present)
    try:
        fields['gender'] = parse_gender(label.get('gender'))
    except ValueError as error:
        raise DataRowError(str(error)) from None
    return fields


def _or_zeros(fields: dict, layout: LabelLayout) -> dict[str, np.ndarray]:
    return {
        name: np.zeros(shape) if fields[name] is None else fields[name]
        for name, shape in layout.shapes.items()
    }


def parse_label(text: bytes, layout: LabelLayout) -> dict:
    """Read the label column of one row.

    Args:
        text: JSON list; as in the official loader only its first element counts.
        layout: Expected sizes.

    Returns:
        ``center`` (2,) px, ``scale``, ``joints_2d`` (J,3) px and visibility, ``joints_3d`` (J,4)
        metres relative to the root and confidence, ``pose``, ``betas`` (10,) (all float64),
        ``has_2d``, ``has_3d``, ``has_smpl`` (float32 0 or 1) and ``gender`` (text that
        `genders.parse_gender` knows). Labels that a row lacks are zeros with their flag 0. Of
        synthetic sets also ``hidden`` (share of 0 to 1) and ``pose_family``.

    Raises:
        DataRowError: Anything else than that; never a silent repair.
    """
    try:
        content = json.loads(text.decode())
    except (ValueError, RecursionError):
        raise DataRowError('label column is not JSON (cut off?)') from None
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        raise DataRowError('label column is not a list with one object')
    fields = _check(content[0], layout)
    known = _or_zeros(fields, layout)
    result = {
        'center': fields['center'],
        'scale': float(fields['scale']),
        'has_2d': np.float32(fields['has_2d_joints']),
        'has_3d': np.float32(fields['has_3d_joints']),
        'has_smpl': np.float32(fields['has_smpl']),
        'joints_2d': known['2d_joints'],
        'joints_3d': known['3d_joints'],
        'pose': known['pose'],
        'betas': known['betas'],
        'gender': content[0].get('gender') or 'none',  # the text of the file, as officially
    }
    # what synthetic sets say beyond the official fields, for reports; others use the names freely
    hidden, family = content[0].get('hidden'), content[0].get('pose_family')
    if isinstance(hidden, (int, float)) and 0 <= hidden <= 1:
        result['hidden'] = float(hidden)
    if isinstance(family, str):
        result['pose_family'] = family
    result['joints_3d'][:, :3] -= result['joints_3d'][layout.root, :3].copy()
    return result


def make_label(
    center: np.ndarray,
    scale: float,
    joints_2d: np.ndarray | None = None,
    joints_3d: np.ndarray | None = None,
    pose: np.ndarray | None = None,
    betas: np.ndarray | None = None,
    gender: str | None = None,
    body: str = 'smpl',
) -> dict:
    """Make the label object of one person in the official form, with every field.

    It passes the check that `parse_label` makes, so what is written can be read.

    Args:
        center: (2,) centre of the box, px.
        scale: Side of the square box / 200.
        joints_2d: (J, 3) px and visibility, or None.
        joints_3d: (J, 4) metres in camera axes (absolute or root-relative) and confidence.
        pose: Axis-angle pose, global orientation in the camera frame; goes with `betas`.
        betas: (10,) shape.
        gender: See `genders.parse_gender`; left out where nothing is known.
        body: ``'smpl'`` or ``'hand'``.

    Returns:
        A dict for `json.dumps`.

    Raises:
        DataRowError: What `parse_label` would refuse.
    """
    layout = LAYOUTS[body]
    fields = _check(
        {
            'center': center,
            'scale': scale,
            '2d_joints': joints_2d,
            '3d_joints': joints_3d,
            'pose': pose,
            'betas': betas,
            'gender': gender,
            'has_2d_joints': int(joints_2d is not None),
            'has_3d_joints': int(joints_3d is not None),
            'has_smpl': int(pose is not None and betas is not None),
        },
        layout,
    )
    arrays = {'center': fields['center'], 'scale': fields['scale'], **_or_zeros(fields, layout)}
    label = {name: array.tolist() for name, array in arrays.items()}
    label.update(
        {name: int(fields[name]) for name in ('has_2d_joints', 'has_3d_joints', 'has_smpl')}
    )
    if fields['gender'] != 'none':
        label['gender'] = fields['gender']
    return label
