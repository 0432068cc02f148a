# SPDX-License-Identifier: Apache-2.0
"""Inference on pictures and videos: boxes in, meshes, cameras and files out."""

from fastmetro_mm.apis.results import FrameResult, PersonMesh, load_npz

__all__ = ['FrameResult', 'PersonMesh', 'load_npz']
