# SPDX-License-Identifier: Apache-2.0
"""Errors raised while body data and model files are found and read."""


class BodyDataError(ValueError):
    """A body file is there, but its content is not what it should be."""


class UnsafePickleError(BodyDataError):
    """A pickle asks for something that is not on the allow-list; nothing of it was run."""


class MissingBodyFileError(FileNotFoundError):
    """A body file is not where it was looked for; the message says how to get it."""
