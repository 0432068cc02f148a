# SPDX-License-Identifier: Apache-2.0
"""Checkpoint contents that ``torch.load(weights_only=True)`` accepts, and the way back.

mmengine 0.10.7 puts ``HistoryBuffer`` objects and numpy values into its checkpoints, which
torch >= 2.6 refuses to read by default (mmengine issue 1655). Allow-listing those classes needs
``getattr`` allow-listed and so protects nobody; writing only tensors and builtin values does.
"""

import enum
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log

TAG = '__fastmetro_plain__'
"""Key that marks a dict as the stand-in of a richer object."""

_SCALARS = (bool, int, float, complex, str, bytes)
_DROPPED = object()


def _array_to_plain(array: np.ndarray, where: str) -> dict:
    """A dict of a tensor (or of a list, for dtypes torch lacks) and the dtype's name."""
    plain = {TAG: 'ndarray', 'dtype': array.dtype.str, 'shape': tuple(array.shape)}
    if array.dtype.kind == 'O':
        plain['data'] = to_plain(array.ravel().tolist(), where)
        return plain
    try:
        native = array.astype(array.dtype.newbyteorder('='))  # always a copy, in machine order
        plain['data'] = torch.from_numpy(np.ascontiguousarray(native))
    except TypeError:  # strings, dates, long double: no tensor of that type
        plain['data'] = to_plain(array.ravel().tolist(), where)
    return plain


def _convert(value: Any, where: str) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach() if isinstance(value, torch.nn.Parameter) else value
    if value is None or type(value) in _SCALARS or isinstance(value, (torch.dtype, torch.device)):
        return value
    if isinstance(value, np.generic):
        return _convert(value.item(), where)
    if isinstance(value, enum.Enum):
        return _convert(value.value, where)
    if isinstance(value, np.ndarray):
        return _array_to_plain(value, where)
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return {
            TAG: 'HistoryBuffer',
            'log': torch.from_numpy(np.array(log, dtype=np.float64)),
            'count': torch.from_numpy(np.array(count, dtype=np.float64)),
            'max_length': int(value.max_length),
        }
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        kind: Any = type(value) if type(value) in (dict, OrderedDict, Counter) else dict
        items: Any = {}
        for key, item in value.items():
            plain = _convert(item, f'{where}.{key}')
            if plain is not _DROPPED:
                items[_convert(key, where)] = plain
        # An untouched dict is handed back itself: a state dict keeps its `_metadata`.
        same = kind is type(value) and len(items) == len(value)
        same = same and all(a is b for a, b in zip(items, value, strict=True))
        same = same and all(a is b for a, b in zip(items.values(), value.values(), strict=True))
        made: Any = kind
        return value if same else made(items)
    if isinstance(value, (list, tuple, deque, set, frozenset)):
        items = [_convert(item, f'{where}[{i}]') for i, item in enumerate(value)]
        items = [None if item is _DROPPED else item for item in items]
        if isinstance(value, (set, frozenset)):
            return set(items)
        return tuple(items) if isinstance(value, tuple) else items
    scalar: Any
    for scalar in _SCALARS:  # subclasses of builtin types, such as a str with extra methods
        if isinstance(value, scalar):
            return scalar(value)
    print_log(
        f'{where} is a {type(value).__name__}, which a plain checkpoint cannot hold: left out',
        logger='current',
        level=logging.WARNING,
    )
    return _DROPPED


def to_plain(value: Any, where: str = 'checkpoint') -> Any:
    """Turn nested containers into what ``torch.load(weights_only=True)`` reads.

    Args:
        value: Anything; containers are walked, tensors are kept (not copied).
        where: Name of the value, for the warning about something left out.

    Returns:
        The same object if it was plain already, else a new one. numpy scalars become Python
        numbers, arrays and ``HistoryBuffer`` become tagged dicts (:func:`from_plain` rebuilds
        them), paths become strings. Other objects are left out with a warning.
    """
    plain = _convert(value, where)
    return None if plain is _DROPPED else plain


def from_plain(value: Any) -> Any:
    """Rebuild what :func:`to_plain` encoded; other values come back as they are."""
    if isinstance(value, dict):
        kind = value.get(TAG)
        if kind == 'HistoryBuffer':
            return HistoryBuffer(
                value['log'].cpu().numpy(), value['count'].cpu().numpy(), value['max_length']
            )
        if kind == 'ndarray':
            data = value['data']
            data = data.cpu().numpy() if isinstance(data, torch.Tensor) else data
            dtype = np.dtype(value['dtype'])
            return np.array(data, dtype=dtype).reshape(value['shape'])
        items = {key: from_plain(item) for key, item in value.items()}
        if all(items[key] is item for key, item in value.items()):
            return value
        return type(value)(items) if type(value) in (OrderedDict, Counter) else items
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        items = [from_plain(item) for item in value]
        if all(a is b for a, b in zip(items, value, strict=True)):
            return value
        return type(value)(items)
    return value
