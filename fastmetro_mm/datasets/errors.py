# SPDX-License-Identifier: Apache-2.0
"""Errors of the data path, each with a one-line message that names file and row."""


class DataRowError(ValueError):
    """One row of a data set cannot be used (cut off, not JSON, wrong shape, not finite...).

    A data set may skip such a row in training; every other error always stops the run.
    """


class DataSetError(ValueError):
    """A data set as a whole is unusable: empty, parts that do not belong together, bad yaml."""


class StaleIndexError(DataSetError):
    """A ``.lineidx`` file holds offsets that do not belong to its ``.tsv`` file."""
