# SPDX-License-Identifier: Apache-2.0
"""Mistakes that a user can fix; each message is one line that names the place and the fix.

The command lines print the message of a :class:`UserError` alone. Every other exception is a fault
of the program and keeps its traceback. The second base of each class is what Python itself would
raise, so ``except ValueError`` and ``except FileNotFoundError`` work as usual.
"""


class UserError(Exception):
    """Something that was given cannot be used; the message says what to give instead."""


class CliError(UserError, ValueError):
    """A mistake in the command line."""


class ConfigError(UserError, ValueError):
    """A setting of a config, or an argument of a public class, has no meaning here."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder is not where it was said to be."""


class MissingPackageError(UserError, ModuleNotFoundError):
    """An optional package is not installed; the message names the command."""


class InputError(UserError, ValueError):
    """An image, video, box, camera or output that cannot be used."""


class DetectorError(UserError, ValueError):
    """The person detector cannot be set up."""


class RendererUnavailableError(UserError, RuntimeError):
    """The asked-for renderer cannot draw on this machine; the message says why."""


class ExportError(UserError, ValueError):
    """Something cannot be exported."""


class BodyDataError(UserError, ValueError):
    """A body file is there, but its content is not what it should be."""


class ForeignFileError(UserError, ValueError):
    """A file of unknown origin is damaged, of another kind, or larger than anything real."""


class UnsafePickleError(BodyDataError, ForeignFileError):
    """A pickle asks for something that is not on the allow-list; nothing of it was run."""


class MissingBodyFileError(MissingFileError):
    """A body file is not where it was looked for; the message says how to get it."""


class DataRowError(UserError, ValueError):
    """One row of a data set cannot be used (cut off, not JSON, wrong shape, not finite...).

    A data set may skip such a row in training; every other error always stops the run.
    """


class DataSetError(UserError, ValueError):
    """A data set as a whole is unusable: empty, parts that do not belong together, bad yaml."""


class StaleIndexError(DataSetError):
    """A ``.lineidx`` file holds offsets that do not belong to its ``.tsv`` file."""


class TrainingError(UserError, RuntimeError):
    """A training cannot go on: its numbers are no numbers, or a process of it was killed."""


class CheckpointError(UserError, ValueError):
    """A checkpoint that cannot be used; the message names the file and the fix."""


class UntrustedCheckpointError(CheckpointError, ForeignFileError):
    """A checkpoint that would run code while it is read."""


class CheckpointNotFoundError(CheckpointError, MissingFileError):
    """There is no such checkpoint file."""


class ModelHubError(UserError, OSError):
    """A network that a model hub was asked for did not come, or is not one of ours."""
