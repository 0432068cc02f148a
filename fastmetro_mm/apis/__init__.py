# SPDX-License-Identifier: Apache-2.0
"""Inference on images and videos: boxes in, meshes, cameras and files out.

The names are imported when they are used.
"""

from typing import TYPE_CHECKING

from fastmetro_mm.lazy import lazy_exports

if TYPE_CHECKING:
    from fastmetro_mm.apis.boxes import PersonBox
    from fastmetro_mm.apis.combined import CombinedInferencer
    from fastmetro_mm.apis.image_camera import CameraHint
    from fastmetro_mm.apis.mesh_inferencer import MeshInferencer
    from fastmetro_mm.structures.results import FrameResult, PersonMesh, load_npz

__all__ = [
    'CameraHint', 'CombinedInferencer', 'FrameResult', 'MeshInferencer', 'PersonBox', 'PersonMesh',
    'load_npz',
]  # fmt: skip
__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        'CameraHint': f'{__name__}.image_camera',
        'CombinedInferencer': f'{__name__}.combined',
        'FrameResult': 'fastmetro_mm.structures.results',
        'MeshInferencer': f'{__name__}.mesh_inferencer',
        'PersonBox': f'{__name__}.boxes',
        'PersonMesh': 'fastmetro_mm.structures.results',
        'load_npz': 'fastmetro_mm.structures.results',
    },
)
