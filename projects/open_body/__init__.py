# SPDX-License-Identifier: Apache-2.0
"""Builds the free body and hand that the package carries."""
