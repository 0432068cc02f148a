# SPDX-License-Identifier: Apache-2.0
"""People as the arrays and lists of a file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.structures.person import PersonMesh

_OPTIONAL = (
    'global_orient', 'body_pose', 'betas', 'smpl_vertices', 'detected_keypoints',
    'joint_confidence', 'joint_spread',
)  # fmt: skip
_UNKNOWN = -1  # stands for None where a file holds whole numbers
_KEYS = {'pred_cam': 'camera'}  # fields that have another name in files


def file_key(name: str) -> str:
    """What a field of :class:`PersonMesh` is called in files."""
    return _KEYS.get(name, name)


def stack_people(people: Sequence[PersonMesh]) -> dict[str, np.ndarray]:
    """Arrays of people of one mesh; people are the first axis."""
    arrays = {}
    for item in fields(PersonMesh):
        key = file_key(item.name)
        values = [getattr(person, item.name) for person in people]
        if item.name in _OPTIONAL:
            if values and all(value is not None for value in values):
                arrays[key] = np.stack(values)
        elif item.name in ('track_id', 'is_right'):
            arrays[key] = np.array(
                [_UNKNOWN if value is None else int(value) for value in values], np.int64
            )
        else:
            arrays[key] = np.array(values, np.float32 if not values else None)
    return arrays


def person_of(arrays: Mapping[str, np.ndarray], number: int) -> PersonMesh:
    """One of the people that :func:`stack_people` put together."""
    values: dict[str, Any] = {}
    for item in fields(PersonMesh):
        key = file_key(item.name)
        if key in arrays:
            values[item.name] = arrays[key][number]
    for name in ('bbox_score', 'crop_size'):
        values[name] = float(values[name])
    track_id, is_right = int(values['track_id']), int(values['is_right'])
    values['track_id'] = None if track_id == _UNKNOWN else track_id
    values['is_right'] = None if is_right == _UNKNOWN else bool(is_right)
    return PersonMesh(**values)


def plain(value: Any) -> Any:
    """Lists and builtin values instead of arrays; None instead of numbers JSON does not know."""
    if isinstance(value, np.ndarray):
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            known = value.astype(object)
            known[~np.isfinite(value)] = None
            return known.tolist()
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """``np.savez``, not compressed, which would take longer than a small network."""
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as file:
        for name, array in arrays.items():
            with file.open(f'{name}.npy', 'w', force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
