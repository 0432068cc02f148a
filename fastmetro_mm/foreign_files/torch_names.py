# SPDX-License-Identifier: Apache-2.0
"""What a torch checkpoint may name, and the stand-ins that rebuild its tensors.

torch's own restricted reader knows one pickle protocol of five and neither NumPy values nor
mmengine's log history; its messages advise to read without restriction. The names here are those
that tensors, optimizers, NumPy values, mmengine's history and whole networks need.
"""

import math
from collections import Counter, OrderedDict, defaultdict
from typing import Any

import torch
from torch import Tensor

from fastmetro_mm.foreign_files.records import ARRAY_NAMES, Record, plain

_STORAGES = {
    'DoubleStorage': torch.float64, 'FloatStorage': torch.float32, 'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16, 'LongStorage': torch.int64, 'IntStorage': torch.int32,
    'ShortStorage': torch.int16, 'CharStorage': torch.int8, 'ByteStorage': torch.uint8,
    'BoolStorage': torch.bool, 'ComplexDoubleStorage': torch.complex128,
    'ComplexFloatStorage': torch.complex64,
}  # fmt: skip
_LARGEST_EXPANSION = 1 << 26  # entries of a tensor that repeats its numbers (stride 0)
_HISTORY_METHODS = ('min', 'max', 'mean', 'current', 'sum')


class StorageType:
    """Type of a storage: how its bytes are read.

    Args:
        dtype: Type of its entries; bytes for an untyped storage.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class Storage:
    """The numbers behind one or several tensors.

    Args:
        data: One-dimensional tensor.
    """

    def __init__(self, data: Tensor) -> None:
        self.data = data


class History(Record):
    """mmengine's ``HistoryBuffer``: logged values and how many samples each stands for."""

    def build(self) -> Any:
        """The buffer."""
        from mmengine.logging import HistoryBuffer

        state = self.state
        log, count = (plain(state[key]) for key in ('_log_history', '_count_history'))
        return HistoryBuffer(log, count, int(state['max_length']))


class _Marker(Record):
    """Named in a pickle, and of no further interest."""


def _attribute(owner: Any, name: str) -> type:
    """Stand-in of ``getattr``: of the history's methods, and of an inert object's (its hooks)."""
    of_record = isinstance(owner, Record) or (
        isinstance(owner, type) and issubclass(owner, Record) and owner is not History
    )
    if not of_record and (owner is not History or name not in _HISTORY_METHODS):
        raise ValueError(f'unexpected use of getattr: {name!r}')
    return _Marker


def _tensor(storage: Storage, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
    if not isinstance(storage, Storage) or offset < 0:
        raise ValueError('a tensor without numbers')
    size = tuple(size)
    if math.prod(size) > max(storage.data.numel(), _LARGEST_EXPANSION):
        raise ValueError(f'a tensor of {size} over {storage.data.numel()} numbers')
    # torch compares the extent with the storage
    return storage.data.as_strided(size, tuple(stride), offset)


def _tensor_v3(
    storage: Storage,
    offset: int,
    size: tuple,
    stride: tuple,
    requires_grad: bool,
    hooks: Any,
    dtype: torch.dtype,
    *_: Any,
) -> Tensor:
    return _tensor(Storage(storage.data.view(dtype)), offset, size, stride)


def _parameter(data: Tensor, *_: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise ValueError('a parameter without a tensor')
    return data


def _from_type(function: Any, kind: Any, arguments: tuple, *_: Any) -> Tensor:
    if function not in (_tensor, _tensor_v3) or kind not in (_Tensor, _Parameter):
        raise ValueError('unexpected kind of tensor')
    return function(*arguments)


def _layout(name: str) -> str:
    return str(name)


def _sparse_tensor(layout: str, data: tuple) -> Tensor:
    if not layout.endswith('sparse_coo'):
        raise ValueError(f'unexpected layout {layout}')
    indices, values, size = data[:3]
    return torch.sparse_coo_tensor(indices, values, tuple(size), check_invariants=True)


def _meta_tensor(dtype: torch.dtype, size: tuple, stride: tuple, *_: Any) -> Tensor:
    return torch.empty_strided(tuple(size), tuple(stride), dtype=dtype, device='meta')


class _Tensor(Record):
    """``torch.Tensor`` as an argument; calling the real one could ask for any memory."""


class _Parameter(Record):
    """``torch.nn.Parameter`` made by ``__new__``; its value is the tensor it was given."""

    def __new__(cls, data: Any = None, *_: Any) -> Any:
        """The tensor itself."""
        return _parameter(data)


TORCH_NAMES: dict[tuple[str, str], Any] = {
    **ARRAY_NAMES,
    ('collections', 'OrderedDict'): OrderedDict,
    ('collections', 'Counter'): Counter,
    ('collections', 'defaultdict'): defaultdict,
    ('torch._utils', '_rebuild_tensor'): _tensor,
    ('torch._utils', '_rebuild_tensor_v2'): _tensor,
    ('torch._utils', '_rebuild_tensor_v3'): _tensor_v3,
    ('torch._utils', '_rebuild_parameter'): _parameter,
    ('torch._utils', '_rebuild_parameter_with_state'): _parameter,
    ('torch._utils', '_rebuild_sparse_tensor'): _sparse_tensor,
    ('torch._utils', '_rebuild_meta_tensor_no_storage'): _meta_tensor,
    ('torch._tensor', '_rebuild_from_type_v2'): _from_type,
    ('torch.serialization', '_get_layout'): _layout,
    ('torch', 'Tensor'): _Tensor,
    ('torch._tensor', 'Tensor'): _Tensor,
    ('torch.nn.parameter', 'Parameter'): _Parameter,
    ('torch', 'Size'): torch.Size,
    ('torch', 'device'): torch.device,
    ('torch.storage', 'UntypedStorage'): StorageType(torch.uint8),
    ('torch.storage', '_UntypedStorage'): StorageType(torch.uint8),
    ('mmengine.logging.history_buffer', 'HistoryBuffer'): History,
}
for _name, _dtype in _STORAGES.items():
    TORCH_NAMES['torch', _name] = StorageType(_dtype)
for _name, _value in vars(torch).items():
    if isinstance(_value, torch.dtype):
        TORCH_NAMES['torch', _name] = _value
for _builtins in ('__builtin__', 'builtins'):
    TORCH_NAMES[_builtins, 'getattr'] = _attribute
    for _name, _type in (('dict', dict), ('list', list), ('int', int), ('complex', complex)):
        TORCH_NAMES[_builtins, _name] = _type
for _name in _HISTORY_METHODS:
    TORCH_NAMES['mmengine.logging.history_buffer', f'HistoryBuffer.{_name}'] = _Marker
