# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files: their format, how they are found, read and written."""
