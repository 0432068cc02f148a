# SPDX-License-Identifier: Apache-2.0
"""Meshes of everybody in a folder of any size, with Ray Data, resumable."""
