# SPDX-License-Identifier: Apache-2.0
"""Metrics of mesh recovery."""

from .freihand_metric import FreiHANDMetric
from .mesh_joint_metric import MeshJointMetric
from .mesh_vertex_metric import MeshVertexMetric

__all__ = ['FreiHANDMetric', 'MeshJointMetric', 'MeshVertexMetric']
