# SPDX-License-Identifier: Apache-2.0
"""Metrics of mesh recovery."""
