# SPDX-License-Identifier: Apache-2.0
"""Read the pickles of body files without running them.

SMPL, MANO and the mesh-sampling files are Python-2 pickles that hold numpy arrays, scipy sparse
matrices and chumpy objects. A pickle may name any importable object and call it. The reader here
looks every name up in a fixed table first: names in the table become inert records of this
module (never the numpy, scipy or chumpy object itself), any other name stops the reading before
it is even imported. :func:`plain` turns the records into numpy arrays and scipy matrices.
"""

import io
import pickle
import re
import struct
from collections import OrderedDict
from typing import Any

import numpy as np
from scipy import sparse

from fastmetro_mm.errors import BodyDataError, UnsafePickleError

_DTYPE_CODE = re.compile(r'[<>|=]?(b1|\?|[iuf][1248]|[SU]\d+|O\d?|[bBhHiIlLqQfd])')
# What the pickle machine and the records raise on a damaged stream.
_DAMAGED = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError,
    AttributeError, OverflowError, MemoryError, RecursionError, struct.error,
)  # fmt: skip


class _Record:
    """Base of the inert stand-ins: keeps what the pickle gives it and does nothing else."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __reduce__(self) -> Any:
        raise TypeError('a record of a foreign pickle is not written again')


class _Dtype(_Record):
    """numpy.dtype of plain numbers, strings or objects; no fields, no sub-arrays."""

    def build(self) -> np.dtype:
        code = self.args[0]
        if not isinstance(code, str) or not _DTYPE_CODE.fullmatch(code):
            raise ValueError(f'unexpected array type {code!r}')
        order = '='
        if self.state:
            if self.state[2] is not None or self.state[3] is not None:
                raise ValueError('unexpected structured array type')
            order = {'<': '<', '>': '>'}.get(self.state[1], '=')
        return np.dtype(code).newbyteorder(order)


class _Array(_Record):
    """numpy array, made by ``_reconstruct`` and filled by its state."""

    def build(self) -> np.ndarray:
        _, shape, dtype, fortran, data = self.state
        return _make_array(data, dtype.build(), shape, 'F' if fortran else 'C')


class _Buffer(_Record):
    """numpy array of pickle protocol 5 (``numpy.core.numeric._frombuffer``)."""

    def build(self) -> np.ndarray:
        data, dtype, shape, order = self.args
        return _make_array(data, dtype.build(), shape, order)


class _Scalar(_Record):
    """numpy scalar."""

    def build(self) -> Any:
        dtype, data = self.args
        return _make_array(data, dtype.build(), (), 'C')[()]


class _Sparse(_Record):
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


class _Ch(_Record):
    """chumpy.ch.Ch: its value is the attribute ``x``."""

    def build(self) -> np.ndarray:
        return np.asarray(plain(self.state['x']))


class _Select(_Record):
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


def _reconstruct_object(kind: Any, base: Any, state: Any) -> _Record:
    if not (isinstance(kind, type) and issubclass(kind, _Record)) or base is not _OBJECT:
        raise ValueError('unexpected kind of object')
    return kind()


def _encode(text: str, encoding: str) -> bytes:
    # Python 3 writes bytes in this way for protocols below 3.
    if encoding != 'latin1':
        raise ValueError(f'unexpected text encoding {encoding!r}')
    return text.encode('latin1')


def _make_array(data: Any, dtype: np.dtype, shape: Any, order: str) -> np.ndarray:
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
    return value.build() if isinstance(value, _Record) else value


_ALLOWED: dict[tuple[str, str], Any] = {
    ('_codecs', 'encode'): _encode,
    ('collections', 'OrderedDict'): OrderedDict,
    ('chumpy.ch', 'Ch'): _Ch,
    ('chumpy', 'Ch'): _Ch,
    ('chumpy.reordering', 'Select'): _Select,
}
for _core in ('numpy.core', 'numpy._core'):
    _ALLOWED[f'{_core}.multiarray', '_reconstruct'] = _reconstruct_array
    _ALLOWED[f'{_core}.multiarray', 'scalar'] = _Scalar
    _ALLOWED[f'{_core}.numeric', '_frombuffer'] = _Buffer
_ALLOWED['numpy', 'ndarray'] = _NDARRAY
_ALLOWED['numpy', 'dtype'] = _Dtype
for _builtin in ('__builtin__', 'builtins'):
    _ALLOWED[_builtin, 'set'] = set
    _ALLOWED[_builtin, 'object'] = _OBJECT
for _copyreg in ('copy_reg', 'copyreg'):
    _ALLOWED[_copyreg, '_reconstructor'] = _reconstruct_object
for _csc in ('scipy.sparse.csc', 'scipy.sparse._csc', 'scipy.sparse'):
    _ALLOWED[_csc, 'csc_matrix'] = _Sparse
for _csr in ('scipy.sparse.csr', 'scipy.sparse._csr', 'scipy.sparse'):
    _ALLOWED[_csr, 'csr_matrix'] = _SparseRows


class _AllowListUnpickler(pickle.Unpickler):
    def __init__(self, stream: io.BufferedIOBase, source: str) -> None:
        super().__init__(stream, encoding='latin1')
        self._source = source

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise UnsafePickleError(
                f'{self._source}: refused, the pickle asks for {module}.{name}, which no body '
                'file needs; nothing was run. Use the file from the official download page, or '
                'an .npz with the same arrays'
            ) from None


def load_allow_listed(stream: io.BufferedIOBase, source: str) -> Any:
    """Read one pickle with inert records in place of foreign objects.

    Args:
        stream: Binary stream at the start of the pickle.
        source: Name of the file (and member) for messages.

    Returns:
        The unpickled value; records in it become arrays through :func:`plain`.

    Raises:
        UnsafePickleError: The pickle names something that is not on the list.
        BodyDataError: The pickle is damaged or truncated.
    """
    try:
        return _AllowListUnpickler(stream, source).load()
    except UnsafePickleError:
        raise
    except _DAMAGED as error:
        raise BodyDataError(
            f'{source}: damaged or truncated pickle ({type(error).__name__}: '
            f'{_one_line(error)}); download the file again'
        ) from None


def build_plain(value: Any, source: str) -> Any:
    """:func:`plain` with one clear error for records whose content makes no sense."""
    try:
        return plain(value)
    except _DAMAGED as error:
        raise BodyDataError(
            f'{source}: cannot be read as an array ({type(error).__name__}: '
            f'{_one_line(error)}); download the file again'
        ) from None


def load_object_member(payload: bytes, source: str) -> np.ndarray:
    """Read one ``.npy`` member with dtype object (an array of arrays or sparse matrices).

    Args:
        payload: The bytes of the ``.npy`` file.
        source: Name of the file and member for messages.

    Returns:
        1-D numpy array of dtype object with plain arrays or scipy matrices.

    Raises:
        UnsafePickleError: See :func:`load_allow_listed`.
        BodyDataError: The bytes are not such a file.
    """
    stream = io.BytesIO(payload)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        _, _, dtype = read_header(stream)
    except (ValueError, KeyError) as error:
        raise BodyDataError(f'{source}: not a numpy array file ({_one_line(error)})') from None
    if not dtype.hasobject:
        stream.seek(0)
        try:
            return np.lib.format.read_array(stream, allow_pickle=False)
        except ValueError as error:
            raise BodyDataError(f'{source}: damaged ({_one_line(error)})') from None
    value = load_allow_listed(stream, source)
    return build_plain(value, source)


def _one_line(error: BaseException) -> str:
    return ' '.join(str(error).split())[:200]
