# SPDX-License-Identifier: Apache-2.0
"""Inference on pictures and videos: boxes in, meshes, cameras and files out."""

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.combined import CombinedInferencer
from fastmetro_mm.apis.mesh_inferencer import MeshInferencer
from fastmetro_mm.apis.picture_camera import CameraHint
from fastmetro_mm.structures.results import FrameResult, PersonMesh, load_npz

__all__ = [
    'CameraHint',
    'CombinedInferencer',
    'FrameResult',
    'MeshInferencer',
    'PersonBox',
    'PersonMesh',
    'load_npz',
]
