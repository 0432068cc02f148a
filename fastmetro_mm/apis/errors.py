# SPDX-License-Identifier: Apache-2.0
"""Mistakes in what inference is given; each message is one line that says how to mend it."""


class InputError(ValueError):
    """A picture, video, box, camera or output that cannot be used."""


class DetectorError(ValueError):
    """The person detector cannot be set up."""
