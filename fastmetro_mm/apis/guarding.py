# SPDX-License-Identifier: Apache-2.0
"""One guard around each input: whatever one of them does, the others go on."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mmengine.logging import print_log

from fastmetro_mm.errors import InputError, UserError

ErrorHandler = Callable[[Exception], None]


class UnexpectedError(RuntimeError):
    """An input made the program fail in a way nobody thought of; the cause is attached."""


def error_handler(on_error: str | ErrorHandler) -> ErrorHandler:
    """What is called with the error of an input or box.

    Args:
        on_error: ``'raise'``, ``'skip'`` (log and go on), or the function itself.

    Raises:
        InputError: If it is none of these.
    """
    if callable(on_error):
        return on_error
    if on_error == 'skip':
        return lambda error: print_log(f'skipped: {error}', 'current', logging.WARNING)
    if on_error != 'raise':
        raise InputError(f"on_error must be 'raise', 'skip' or a function, got {on_error!r}")

    def fail(error: Exception) -> None:
        raise error

    return fail


@contextmanager
def guarded(where: str, on_error: ErrorHandler) -> Iterator[None]:
    """Hand whatever goes wrong inside to ``on_error``.

    Args:
        where: Input, image or box, for the message.
        on_error: Called with the error: one of ours as it is, one of the system with the name of
            the input, anything else as an :class:`UnexpectedError` with its cause.
    """
    try:
        yield
    except UserError as error:
        on_error(error)
    except MemoryError as error:
        on_error(_caused(InputError(f'{where}: not enough memory for it: make it smaller'), error))
    except OSError as error:
        reason = error.strerror or ' '.join(str(error).split()) or type(error).__name__
        name = error.filename if isinstance(error.filename, (str, os.PathLike)) else where
        on_error(_caused(InputError(f'{printable(name)}: {reason}'), error))
    except Exception as error:
        reason = ' '.join(str(error).split())
        on_error(
            _caused(
                UnexpectedError(
                    f'{where}: unexpected {type(error).__name__}: {reason}; this is a fault of the '
                    'program or of a function given to it, please report it'
                ),
                error,
            )
        )


def notice(text: str) -> None:
    """Say what was assumed or left out, where the user did not ask for it.

    Args:
        text: One line.
    """
    try:
        print_log(text, 'current', logging.WARNING)
    except OSError:  # the log file of somebody's run is gone: no fault of the work
        print(text, file=sys.stderr)


def printable(name: str | os.PathLike) -> str:
    """A file name as text that every terminal and file takes.

    Args:
        name: Perhaps with bytes that are not UTF-8, which Python carries as lone surrogates.

    Returns:
        The name with the replacement character in their place.
    """
    return os.fsencode(name).decode('utf-8', 'replace')


def _caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error
