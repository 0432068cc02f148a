# SPDX-License-Identifier: Apache-2.0
"""Network parts, registered in mmpose's ``MODELS``."""

from fastmetro_mm.models import backbones, heads, losses, necks
from fastmetro_mm.models.data_preprocessor import MeshDataPreprocessor
from fastmetro_mm.models.mesh_estimator import TopdownMeshEstimator
from fastmetro_mm.models.tta_model import MeshTTAModel

__all__ = [
    'MeshDataPreprocessor', 'MeshTTAModel', 'TopdownMeshEstimator', 'backbones', 'heads', 'losses',
    'necks',
]  # fmt: skip
