# SPDX-License-Identifier: Apache-2.0
"""FastMETRO mesh recovery as a plugin for mmpose 1.x."""

__version__ = '0.1.0'
