# SPDX-License-Identifier: Apache-2.0
"""Whatever damaged bytes raise, as one line."""

import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from fastmetro_mm.errors import CheckpointError, ForeignFileError, UserError

DOWNLOAD_AGAIN = 'download the file again'
DAMAGED = (
    pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError,
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError,
    RuntimeError, NotImplementedError, SyntaxError, tokenize.TokenError, AssertionError,
    RecursionError, ImportError,
)  # fmt: skip
"""What the zip, pickle, NumPy and torch readers raise on damaged bytes."""


@contextmanager
def reading(source: str, fix: str = DOWNLOAD_AGAIN, what: str = 'damaged') -> Iterator[None]:
    """Turn whatever damaged bytes raise into one line.

    Args:
        source: Name of the file (and member).
        fix: What to do about it.
        what: What it is then.

    Raises:
        ForeignFileError: Instead of any of :data:`DAMAGED`.
    """
    try:
        yield
    except (UserError, PermissionError):
        raise
    except DAMAGED as error:
        raise ForeignFileError(
            f'{source}: {what} ({type(error).__name__}: {one_line(error)}); {fix}'
        ) from None


@contextmanager
def raise_as(kind: type[Exception]) -> Iterator[None]:
    """Give errors about foreign files the type that callers of this reader expect.

    Args:
        kind: ``BodyDataError``, ``DataSetError``...

    Raises:
        kind: Instead of a ``ForeignFileError``, with the same message.
    """
    try:
        yield
    except kind:
        raise
    except ForeignFileError as error:
        raise kind(str(error)) from None


@contextmanager
def naming(source: object, lead: str = '') -> Iterator[None]:
    """Put the name of a checkpoint in front of messages about its content.

    Args:
        source: The file.
        lead: What stands in front of the message instead, and goes.

    Raises:
        CheckpointError: Instead of another one.
    """
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f'{source}: {str(error).removeprefix(lead)}') from error


def one_line(text: object) -> str:
    """Text of an error or of a file, fit for the inside of a message.

    Line breaks and control characters, which a file's content may bring in, are left out.
    """
    words = ' '.join(str(text).split())
    return ''.join(letter for letter in words if letter.isprintable())[:200]
