# SPDX-License-Identifier: Apache-2.0
"""Errors about checkpoint files that a user can mend."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and the mend."""


class UntrustedCheckpointError(CheckpointError):
    """A checkpoint that would run code while it is read."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """There is no such checkpoint file."""
