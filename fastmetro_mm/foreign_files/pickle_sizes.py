# SPDX-License-Identifier: Apache-2.0
"""What a pickle would make Python allocate, told from its opcodes before it is read.

Python's unpickler believes a pickle: a memo index of a thousand million makes it clear sixteen
gigabytes, a text may announce a terabyte. Fuzzing found the first in files of 400 bytes.
"""

import pickletools
from typing import BinaryIO

_BY_CODE = {opcode.code.encode('latin1'): opcode for opcode in pickletools.opcodes}
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_TWO_LINES = ('GLOBAL', 'INST')
_SPARE = 1000  # memo entries that need no opcode each


def check_sizes(stream: BinaryIO) -> None:
    """Walk over the opcodes of one pickle and leave the stream where it was.

    Args:
        stream: Seekable binary stream at the start of a pickle.

    Raises:
        ValueError: Something in it is larger than the pickle can hold, or an opcode is unknown.
        EOFError: It ends early.
    """
    start = stream.tell()
    end = stream.seek(0, 2)
    stream.seek(start)
    count = 0
    while True:
        code = stream.read(1)
        if not code:
            raise EOFError('the pickle ends early')
        opcode = _BY_CODE.get(code)
        if opcode is None:
            raise ValueError(f'unknown opcode {code!r}')
        if opcode.name == 'STOP':
            break
        count += 1
        if opcode.arg is not None:
            index = _skip_argument(stream, opcode, end)
            if index is not None and index > 2 * count + _SPARE:
                raise ValueError(f'memo index {index} after {count} steps')
    stream.seek(start)


def _skip_argument(stream: BinaryIO, opcode: pickletools.OpcodeInfo, end: int) -> int | None:
    """Move behind an argument; gives the index of an opcode that fills the memo."""
    assert opcode.arg is not None
    kind = opcode.arg.n
    if kind == pickletools.UP_TO_NEWLINE:
        line = stream.readline()
        if opcode.name in _TWO_LINES:
            line = stream.readline()
        if not line.endswith(b'\n'):
            raise EOFError('the pickle ends early')
        return int(line) if opcode.name == 'PUT' else None
    if kind >= 0:
        raw = stream.read(kind)
        return int.from_bytes(raw, 'little') if opcode.name in ('BINPUT', 'LONG_BINPUT') else None
    length = int.from_bytes(stream.read(_LENGTHS[kind]), 'little')
    if length > end - stream.tell():
        raise EOFError(f'{length} bytes are announced, {end - stream.tell()} are left')
    stream.seek(length, 1)
    return None
