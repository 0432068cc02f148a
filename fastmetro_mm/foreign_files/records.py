# SPDX-License-Identifier: Apache-2.0
"""Inert stand-ins for the objects that pickles of arrays name.

SMPL, MANO and the mesh-sampling files are Python-2 pickles that hold numpy arrays, scipy sparse
matrices and chumpy objects. A pickle may name any importable object and call it; the names below
become records of this module instead, which keep what the pickle gives them and do nothing else.
:func:`plain` and :func:`deep_plain` turn records into numpy arrays and scipy matrices.
"""

import re
from collections import OrderedDict
from typing import Any

import numpy as np
from scipy import sparse

_DTYPE_CODE = re.compile(r'[<>|=]?(b1|\?|[iuf][1248]|[SU]\d+|O\d?|[bBhHiIlLqQfd])')


class Record:
    """Base of the inert stand-ins: keeps what the pickle gives it and does nothing else."""

    # class attributes, because a pickle can make objects without calling __init__
    args: tuple = ()
    state: Any = None

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def build(self) -> Any:
        """What it stands for."""
        raise NotImplementedError

    def __reduce__(self) -> Any:
        raise TypeError('a record of a foreign pickle is not written again')


class _Dtype(Record):
    """numpy.dtype of plain numbers, strings or objects; no fields, no sub-arrays."""

    def build(self) -> np.dtype:
        code = self.args[0]
        if not isinstance(code, str) or not _DTYPE_CODE.fullmatch(code):
            raise ValueError(f'unexpected array type {code!r}')
        order: Any = '='
        if self.state:
            if self.state[2] is not None or self.state[3] is not None:
                raise ValueError('unexpected structured array type')
            order = {'<': '<', '>': '>'}.get(self.state[1], '=')
        return np.dtype(code).newbyteorder(order)


class _Array(Record):
    """numpy array, made by ``_reconstruct`` and filled by its state."""

    def build(self) -> np.ndarray:
        _, shape, dtype, fortran, data = self.state
        return _make_array(data, dtype.build(), shape, 'F' if fortran else 'C')


class _Buffer(Record):
    """numpy array of pickle protocol 5 (``numpy.core.numeric._frombuffer``)."""

    def build(self) -> np.ndarray:
        data, dtype, shape, order = self.args
        return _make_array(data, dtype.build(), shape, order)


class _Scalar(Record):
    """numpy scalar."""

    def build(self) -> Any:
        dtype, data = self.args
        return _make_array(data, dtype.build(), (), 'C')[()]


class _Sparse(Record):
    """scipy matrix in compressed form."""

    kind = sparse.csc_matrix

    def build(self) -> Any:
        state = self.state
        shape = tuple(int(n) for n in plain(state.get('_shape', state.get('shape'))))
        parts = tuple(plain(state[key]) for key in ('data', 'indices', 'indptr'))
        matrix = self.kind(parts, shape=shape)
        matrix.check_format(full_check=True)
        return matrix


class _SparseRows(_Sparse):
    kind = sparse.csr_matrix


class _Ch(Record):
    """chumpy.ch.Ch: its value is the attribute ``x``."""

    def build(self) -> np.ndarray:
        return np.asarray(plain(self.state['x']))


class _Select(Record):
    """chumpy.reordering.Select: chosen entries of another array, in a given shape."""

    def build(self) -> np.ndarray:
        source = np.asarray(plain(self.state['a'])).ravel()
        chosen = source[np.asarray(plain(self.state['idxs'])).astype(np.int64).ravel()]
        shape = plain(self.state.get('preferred_shape'))
        return chosen if shape is None else chosen.reshape(tuple(int(n) for n in shape))


class _Marker:
    """Names that appear only as arguments (``numpy.ndarray``, ``object``)."""

    __slots__ = ()


_NDARRAY, _OBJECT = _Marker(), _Marker()


def _reconstruct_array(kind: Any, *_: Any) -> _Array:
    if kind is not _NDARRAY:
        raise ValueError('unexpected kind of array')
    return _Array()


def _reconstruct_object(kind: Any, base: Any, state: Any) -> Record:
    if not (isinstance(kind, type) and issubclass(kind, Record)) or base is not _OBJECT:
        raise ValueError('unexpected kind of object')
    return kind()


def _encode(text: str, encoding: str) -> bytes:
    # Python 3 writes bytes in this way for protocols below 3.
    if encoding != 'latin1':
        raise ValueError(f'unexpected text encoding {encoding!r}')
    return text.encode('latin1')


def _empty_bytes(*args: Any) -> bytes:
    # Python 3 writes b'' in this way for protocols below 3; a number would ask for that many bytes.
    if args:
        raise ValueError('unexpected arguments of bytes')
    return b''


def _make_array(data: Any, dtype: np.dtype, shape: Any, order: Any) -> np.ndarray:
    shape = tuple(int(n) for n in shape)
    if dtype.hasobject:
        flat = np.empty(len(data), dtype=object)
        for i, item in enumerate(data):
            flat[i] = plain(item)
        return flat.reshape(shape, order=order)
    if isinstance(data, str):
        data = data.encode('latin1')
    return np.frombuffer(data, dtype=dtype).reshape(shape, order=order).copy()


def plain(value: Any) -> Any:
    """Turn records into numpy arrays and scipy matrices; leave everything else as it is."""
    return value.build() if isinstance(value, Record) else value


def deep_plain(value: Any) -> Any:
    """Turn the records inside dicts, lists, tuples and object arrays into plain values.

    Dicts and lists are changed in place, so that their type and attributes stay.
    """
    return _deep_plain(value, set())


def _deep_plain(value: Any, seen: set[int]) -> Any:
    value = plain(value)
    if isinstance(value, tuple):
        items = [_deep_plain(item, seen) for item in value]
        same = all(a is b for a, b in zip(items, value, strict=True))
        return value if same else tuple(items)
    if not isinstance(value, (dict, list, np.ndarray)) or id(value) in seen:
        return value
    seen.add(id(value))
    if isinstance(value, list):
        value[:] = [_deep_plain(item, seen) for item in value]
    elif isinstance(value, dict):
        items = [(plain(key), _deep_plain(item, seen)) for key, item in value.items()]
        value.clear()
        for key, item in items:  # update() of a Counter would count
            value[key] = item
    elif value.dtype.hasobject:
        if value.ndim == 0:
            return _deep_plain(value.item(), seen)
        flat = value.reshape(-1)
        for index in range(flat.size):
            flat[index] = _deep_plain(flat[index], seen)
        return flat.reshape(value.shape)
    return value


ARRAY_NAMES: dict[tuple[str, str], Any] = {
    # what a pickle of arrays may name, and what it gets instead
    ('_codecs', 'encode'): _encode,
    ('collections', 'OrderedDict'): OrderedDict,
    ('chumpy.ch', 'Ch'): _Ch,
    ('chumpy', 'Ch'): _Ch,
    ('chumpy.reordering', 'Select'): _Select,
}
for _core in ('numpy.core', 'numpy._core'):
    ARRAY_NAMES[f'{_core}.multiarray', '_reconstruct'] = _reconstruct_array
    ARRAY_NAMES[f'{_core}.multiarray', 'scalar'] = _Scalar
    ARRAY_NAMES[f'{_core}.numeric', '_frombuffer'] = _Buffer
ARRAY_NAMES['numpy', 'ndarray'] = _NDARRAY
ARRAY_NAMES['numpy', 'dtype'] = _Dtype
for _builtin in ('__builtin__', 'builtins'):
    ARRAY_NAMES[_builtin, 'set'] = set
    ARRAY_NAMES[_builtin, 'frozenset'] = frozenset
    ARRAY_NAMES[_builtin, 'bytes'] = _empty_bytes
    ARRAY_NAMES[_builtin, 'object'] = _OBJECT
for _copyreg in ('copy_reg', 'copyreg'):
    ARRAY_NAMES[_copyreg, '_reconstructor'] = _reconstruct_object
for _csc in ('scipy.sparse.csc', 'scipy.sparse._csc', 'scipy.sparse'):
    ARRAY_NAMES[_csc, 'csc_matrix'] = _Sparse
for _csr in ('scipy.sparse.csr', 'scipy.sparse._csr', 'scipy.sparse'):
    ARRAY_NAMES[_csr, 'csr_matrix'] = _SparseRows
