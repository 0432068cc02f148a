# SPDX-License-Identifier: Apache-2.0
"""The page of ``fastmetro serve``: photos and videos in, meshes to turn and files out."""
