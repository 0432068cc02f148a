# SPDX-License-Identifier: Apache-2.0
"""Metrics of mesh recovery."""

from fastmetro_mm.evaluation.attribute_report import AttributeReport
from fastmetro_mm.evaluation.dump_results import MeshDumpResults
from fastmetro_mm.evaluation.freihand_metric import FreiHANDMetric
from fastmetro_mm.evaluation.mesh_joint_metric import MeshJointMetric
from fastmetro_mm.evaluation.mesh_vertex_metric import MeshVertexMetric

__all__ = [
    'AttributeReport',
    'FreiHANDMetric',
    'MeshDumpResults',
    'MeshJointMetric',
    'MeshVertexMetric',
]
