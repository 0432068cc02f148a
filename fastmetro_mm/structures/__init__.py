# SPDX-License-Identifier: Apache-2.0
"""What travels between data, network, metrics, drawing and exporters.

Axis letters used everywhere: B batch, J joints, V vertices, T tokens, C channels. Lengths are
metres, angles radians, image positions pixels. Camera axes: x right, y down, z forward.
"""

from fastmetro_mm.structures.person import PersonMesh
from fastmetro_mm.structures.results import FrameResult, load_npz
from fastmetro_mm.structures.samples import MeshDataSample, MeshPrediction, TokenFeatures
from fastmetro_mm.structures.targets import LABELS, MeshTargets

__all__ = [
    'LABELS', 'FrameResult', 'MeshDataSample', 'MeshPrediction', 'MeshTargets', 'PersonMesh',
    'TokenFeatures', 'load_npz',
]  # fmt: skip
