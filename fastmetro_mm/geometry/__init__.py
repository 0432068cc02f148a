# SPDX-License-Identifier: Apache-2.0
"""Rotations, cameras and alignments: pure functions, no models and no files."""
