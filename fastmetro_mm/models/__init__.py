# SPDX-License-Identifier: Apache-2.0
"""Network parts, registered in mmpose's ``MODELS``."""

from . import backbones, heads, losses, necks
from .mesh_estimator import TopdownMeshEstimator

__all__ = ['TopdownMeshEstimator', 'backbones', 'heads', 'losses', 'necks']
