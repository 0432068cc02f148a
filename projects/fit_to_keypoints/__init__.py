# SPDX-License-Identifier: Apache-2.0
"""Fit predicted bodies to 2D key points and write them as labels."""
