# SPDX-License-Identifier: Apache-2.0
"""Errors of the exporters."""


class ExportError(ValueError):
    """Something cannot be exported; the message is one line with the mend."""
