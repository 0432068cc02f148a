# SPDX-License-Identifier: Apache-2.0
"""FastMETRO on a mesh of your own."""
