# SPDX-License-Identifier: Apache-2.0
"""Read torch checkpoints of every format and pickle protocol without running them.

A checkpoint is a pickle that refers to blocks of numbers ("storages"): members of a zip file since
torch 1.6, appended to the pickle before that. The pickle is read with the table of
``torch_names``; a storage must have exactly the bytes that its tensor type and length ask for.
Everything lands on the CPU, whatever device it was saved from.
"""

import io
import os
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import torch
from torch import Tensor

from fastmetro_mm.errors import ForeignFileError, UntrustedCheckpointError
from fastmetro_mm.foreign_files.archives import refuse_bomb
from fastmetro_mm.foreign_files.damage import one_line, reading
from fastmetro_mm.foreign_files.pickles import AllowListUnpickler
from fastmetro_mm.foreign_files.records import Record, deep_plain
from fastmetro_mm.foreign_files.torch_names import TORCH_NAMES, Storage, StorageType

TRUST_VARIABLE = 'FASTMETRO_TRUST_CHECKPOINTS'
"""Environment variable; ``1`` allows checkpoints that may run code while they are read."""

_AGAIN = 'copy or download it again, or take an earlier one'
_BLOCK = 16 << 20
_OLD_MAGIC = 0x1950A86A20F9469CFC6C
# Modules whose functions an attack calls; a network's own classes live elsewhere.
_NEVER = (
    'os', 'posix', 'nt', 'sys', 'subprocess', 'builtins', '__builtin__', 'shutil', 'socket', 'pty',
    'importlib', 'runpy', 'ctypes', 'pickle', 'marshal', 'code', 'codecs',
)  # fmt: skip


class _Stranger(Record):
    """Object of an unknown class, for networks that were saved whole: inert and never built."""

    def append(self, _: Any) -> None:
        """Ignore an item of a list-like object."""

    extend = add = append

    def __setitem__(self, key: Any, value: Any) -> None:
        """Ignore an item of a dict-like object."""

    def build(self) -> Any:
        """Refuse: nothing is known about it."""
        raise ValueError('an object of an unknown class')


class _TorchUnpickler(AllowListUnpickler):
    """Unpickler of checkpoints.

    Args:
        stream: Binary stream.
        source: Name of the file for messages.
        load_storage: Gives the numbers for a storage's (type, key, count).
    """

    def __init__(
        self,
        stream: BinaryIO,
        source: str,
        load_storage: Callable[[StorageType, str, int], Storage],
    ) -> None:
        super().__init__(stream, source, TORCH_NAMES)
        self._load_storage = load_storage
        self.strangers: dict[str, type] = {}

    def persistent_load(self, identity: Any) -> Any:
        """A storage (or, in files of whole networks, a class with its source text)."""
        if identity[0] == 'module':
            return identity[1]
        kind, key, _, count = identity[1:5]
        if identity[0] != 'storage' or not isinstance(kind, StorageType) or type(count) is not int:
            raise ValueError('unexpected reference to a storage')
        return self._load_storage(kind, str(key), count)

    def unknown(self, module: str, name: str) -> Any:
        """An inert stand-in; :meth:`content` decides about it."""
        path = f'{module}.{name}'
        if (module, name) == ('torch.storage', '_load_from_bytes'):
            return self._nested_storage
        if module.split('.')[0] in _NEVER:
            raise _untrusted(self._source, path)
        return self.strangers.setdefault(path, type('_Stranger', (_Stranger,), {}))

    def content(self, value: Any) -> Any:
        """Turn records into plain values and whole networks into their state dicts.

        Raises:
            UntrustedCheckpointError: An unknown object is in it that is no network.
        """
        try:
            return deep_plain(_networks_to_weights(value) if self.strangers else value)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            if self.strangers:
                raise _untrusted(self._source, next(iter(self.strangers))) from error
            raise

    def _nested_storage(self, content: bytes) -> Storage:
        # plain pickles of tensors carry each storage as a torch file of its own
        value = _read_old(io.BytesIO(content), self._source, len(content))
        if not isinstance(value, Storage):
            raise ValueError('a storage was expected')
        return value


def read_torch_file(path: str | os.PathLike) -> Any:
    """Content of a file written by ``torch.save``, or of a pickle of tensors or arrays.

    Returns:
        Containers of CPU tensors, NumPy arrays and plain values. mmengine's log history is
        rebuilt; a network that was saved whole gives ``{'state_dict': ...}``.

    Raises:
        UntrustedCheckpointError: It needs objects of unknown classes.
        ForeignFileError: It is damaged.
    """
    with reading(str(path), _AGAIN), open(path, 'rb') as stream:
        start = stream.read(4)
        stream.seek(0)
        if start[:2] == b'PK':
            with zipfile.ZipFile(stream) as archive:
                return _read_zip(archive, str(path))
        return _read_old(stream, str(path), os.fstat(stream.fileno()).st_size)


def _read_zip(archive: zipfile.ZipFile, source: str) -> Any:
    members = {info.filename: info for info in archive.infolist()}
    pickle_name = next(name for name in members if name.partition('/')[2] == 'data.pkl')
    root = pickle_name.removesuffix('data.pkl')
    order = members.get(f'{root}byteorder')
    if order is not None and archive.read(order).strip() != b'little':
        raise ForeignFileError(
            f'{source}: was written on a big-endian machine: load it there and '
            'save it as safetensors'
        )
    found: dict[str, Tensor] = {}

    def load_storage(kind: StorageType, key: str, count: int) -> Storage:
        if key not in found:
            info = members[f'{root}data/{key}']
            refuse_bomb(info, source, _AGAIN)
            data = torch.empty(info.file_size, dtype=torch.uint8)
            if info.file_size:
                _fill(data, archive, info)
            found[key] = data
        if count * kind.dtype.itemsize != found[key].numel():
            raise ValueError(
                f'storage {key} has {found[key].numel()} bytes, {count} entries of '
                f'{kind.dtype} were announced'
            )
        return Storage(found[key].view(kind.dtype))

    info = members[pickle_name]
    refuse_bomb(info, source, _AGAIN)
    unpickler = _TorchUnpickler(io.BytesIO(archive.read(info)), source, load_storage)
    return unpickler.content(unpickler.load())


def _fill(data: Tensor, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Unpack a member; zipfile compares its checksum when the end is reached."""
    buffer: Any = data.numpy()
    left = memoryview(buffer)
    stream: Any
    with archive.open(info) as stream:
        while left:
            count = stream.readinto(left[:_BLOCK])
            if not count:
                raise EOFError(f'{info.filename} ends early')
            left = left[count:]
        if stream.read(1):
            raise ValueError(f'{info.filename} is longer than announced')


def _read_old(stream: BinaryIO, source: str, size: int) -> Any:
    """The format before torch 1.6, or a plain pickle.

    Old files are five pickles (a number, a version, the machine, the content, the storages' keys)
    and the storages one behind the other.
    """
    storages: dict[str, Storage] = {}

    def load_storage(kind: StorageType, key: str, count: int) -> Storage:
        if key not in storages:
            if not 0 <= count * kind.dtype.itemsize <= size:
                raise ValueError(f'{count} entries of {kind.dtype} in a file of {size} bytes')
            storages[key] = Storage(torch.zeros(count, dtype=kind.dtype))
        return storages[key]

    def read_pickle() -> Any:
        nonlocal unpickler
        unpickler = _TorchUnpickler(stream, source, load_storage)
        return unpickler.load()

    unpickler: Any = None
    value = read_pickle()
    if type(value) is not int or value != _OLD_MAGIC:
        return unpickler.content(value)
    version, machine = read_pickle(), read_pickle()
    if version != 1001 or not machine.get('little_endian', True):
        raise ValueError(f'version {version} of the old format, {machine}')
    value = read_pickle()
    content = unpickler
    for key in read_pickle():
        data = storages[str(key)].data
        if struct.unpack('<q', stream.read(8))[0] != data.numel():
            raise ValueError(f'storage {key} has another length than announced')
        raw = stream.read(data.numel() * data.itemsize)
        if len(raw) < data.numel() * data.itemsize:
            raise EOFError(f'storage {key} ends early')
        if raw:
            data.copy_(torch.frombuffer(bytearray(raw), dtype=data.dtype))
    return content.content(value)


def _networks_to_weights(value: Any) -> Any:
    """State dicts in place of networks, for a network alone or a dict that holds one."""
    if isinstance(value, _Stranger):
        return {'state_dict': _weights_of(value, '')}
    found = {
        key: _weights_of(item, '') for key, item in value.items() if isinstance(item, _Stranger)
    }
    if not found:
        raise ValueError('no network in it')
    value.update(found)
    return value


def _weights_of(network: _Stranger, prefix: str) -> OrderedDict:
    state = network.state if isinstance(network.state, dict) else {}
    if not isinstance(state.get('_modules'), dict):
        raise ValueError('no network')
    weights = OrderedDict()
    skipped = state.get('_non_persistent_buffers_set') or ()
    for part in ('_parameters', '_buffers'):
        for name, value in state[part].items():
            if value is not None and name not in skipped:
                weights[f'{prefix}{name}'] = value
    for name, child in state['_modules'].items():
        if child is not None:
            weights.update(_weights_of(child, f'{prefix}{name}.'))
    return weights


def _untrusted(source: str, path: str) -> UntrustedCheckpointError:
    return UntrustedCheckpointError(
        f'{source}: needs {one_line(path)}, more than tensors and plain values, and so may run '
        f'code while it is read: if you trust where it comes from, pass --trust-checkpoint (or set '
        f'{TRUST_VARIABLE}=1), or have its state dict saved alone'
    )
