# SPDX-License-Identifier: Apache-2.0
"""Fuzzing of the doors through which foreign files come in."""
