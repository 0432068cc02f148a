# SPDX-License-Identifier: Apache-2.0
"""Motions of other skeletons, read and carried over to the open body."""
