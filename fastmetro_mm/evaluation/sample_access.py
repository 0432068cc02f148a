# SPDX-License-Identifier: Apache-2.0
"""Reading fields of data samples, which metrics get as dicts or as objects."""

from __future__ import annotations

from typing import Any

import numpy as np


def get_field(holder: Any, name: str) -> Any:
    """Item of a dict or attribute of an object; None where it is missing."""
    if isinstance(holder, dict):
        return holder.get(name)
    return getattr(holder, name, None)


def sample_key(sample: Any) -> str:
    """``img_key`` of a sample, its ``img_path`` as a second choice, else an empty string."""
    for name in ('img_key', 'img_path'):
        value = get_field(sample, name)
        if value is not None:
            return str(value)
    return ''


def to_array(value: Any) -> np.ndarray:
    """Array or tensor on any device as a float64 array."""
    if hasattr(value, 'detach'):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)


def read_array(sample: Any, group: str, name: str) -> np.ndarray | None:
    """One instance's field without its leading dimension.

    Args:
        sample: data sample, dict or object.
        group: ``'pred_instances'`` or ``'gt_instance_labels'``.
        name: field.

    Returns:
        float64 array, None where the group or the field is missing.

    Raises:
        ValueError: if the field does not hold exactly one instance.
    """
    value = get_field(get_field(sample, group), name)
    if value is None:
        return None
    array = to_array(value)
    if array.ndim == 0 or array.shape[0] != 1:
        raise ValueError(f'{sample_key(sample)}: {group}.{name} must hold one instance with a '
                         f'leading dimension of 1, got shape {array.shape}')
    return array[0]


def require_array(sample: Any, group: str, name: str) -> np.ndarray:
    """As :func:`read_array`, but a missing field is an error.

    Raises:
        ValueError: if the field is missing.
    """
    array = read_array(sample, group, name)
    if array is None:
        raise ValueError(f'{sample_key(sample)}: {group}.{name} is missing; does the model predict '
                         'it and does the pipeline pack it?')
    return array


def has_label(sample: Any, flag: str) -> bool:
    """Whether ``gt_instance_labels.<flag>`` is 1; a missing flag counts as 0."""
    value = read_array(sample, 'gt_instance_labels', flag)
    return value is not None and float(np.ravel(value)[0]) == 1.0
