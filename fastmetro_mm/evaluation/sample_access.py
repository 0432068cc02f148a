# SPDX-License-Identifier: Apache-2.0
"""Reading fields of data samples, which metrics get as dicts or as objects.

A metric picks the fields of a batch one by one, which costs a look-up each, and then stacks and
computes once: a conversion, an upload or a NumPy call a sample would cost more than the errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastmetro_mm.errors import DataSetError


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


def to_array(value: np.ndarray | Tensor) -> np.ndarray:
    """Array or tensor on any device as a float64 array."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)


def read_instance(sample: Any, group: str, name: str) -> np.ndarray | Tensor | None:
    """One instance's field as it is, with its leading dimension of 1.

    Args:
        sample: data sample, dict or object.
        group: ``'pred_instances'`` or ``'gt_instance_labels'``.
        name: field.

    Returns:
        Array or tensor on any device, not copied; None where the group or the field is missing.

    Raises:
        ValueError: if the field does not hold exactly one instance.
    """
    value = get_field(get_field(sample, group), name)
    if value is None:
        return None
    if not isinstance(value, (np.ndarray, Tensor)):
        value = np.asarray(value)
    if value.ndim == 0 or value.shape[0] != 1:
        raise DataSetError(
            f'{sample_key(sample)}: {group}.{name} must hold one instance with a '
            f'leading dimension of 1, got shape {tuple(value.shape)}'
        )
    return value


def require_instance(sample: Any, group: str, name: str) -> np.ndarray | Tensor:
    """As :func:`read_instance`, but a missing field is an error.

    Raises:
        ValueError: if the field is missing.
    """
    value = read_instance(sample, group, name)
    if value is None:
        raise DataSetError(
            f'{sample_key(sample)}: {group}.{name} is missing; does the model '
            'predict it and does the pipeline pack it?'
        )
    return value


def stack_instances(values: Sequence[np.ndarray | Tensor]) -> Tensor:
    """Put instances of several samples together.

    Args:
        values: what :func:`read_instance` gave, all of one shape (1, ...), at least one.

    Returns:
        (B, ...) new tensor, where the values are.
    """
    tensors = [value for value in values if isinstance(value, Tensor)]
    if len(tensors) == len(values):
        return torch.cat(tensors).detach()
    arrays = [
        value.detach().cpu().numpy() if isinstance(value, Tensor) else value for value in values
    ]
    return torch.from_numpy(np.concatenate(arrays))


def stack_field(samples: Sequence[Any], group: str, name: str, shape: tuple[int, ...]) -> Tensor:
    """A field of several samples.

    Args:
        samples: at least one.
        group: ``'pred_instances'`` or ``'gt_instance_labels'``.
        name: field.
        shape: what it must be for one instance.

    Returns:
        (B, *shape).

    Raises:
        ValueError: if the field of a sample is missing or of another shape; names the sample.
    """
    values = []
    for sample in samples:
        value = require_instance(sample, group, name)
        if tuple(value.shape[1:]) != shape:
            raise DataSetError(
                f'{sample_key(sample)}: {group}.{name} must be (1, '
                f'{", ".join(map(str, shape))}), got {tuple(value.shape)}'
            )
        values.append(value)
    return stack_instances(values)


def has_label(sample: Any, flag: str) -> bool:
    """Whether ``gt_instance_labels.<flag>`` is 1; a missing flag counts as 0."""
    value = read_instance(sample, 'gt_instance_labels', flag)
    return value is not None and float(value.ravel()[0]) == 1.0
