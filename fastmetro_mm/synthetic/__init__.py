# SPDX-License-Identifier: Apache-2.0
"""Synthetic people: the open body and hand posed, lit, drawn and written as a TSV set."""
