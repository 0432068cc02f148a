# SPDX-License-Identifier: Apache-2.0
"""Network parts, registered in mmpose's ``MODELS``."""

from fastmetro_mm.models import backbones, heads, losses, necks
from fastmetro_mm.models.mesh_estimator import TopdownMeshEstimator

__all__ = ['TopdownMeshEstimator', 'backbones', 'heads', 'losses', 'necks']
