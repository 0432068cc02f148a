# SPDX-License-Identifier: Apache-2.0
"""Heads: from tokens to camera, joints, meshes and SMPL parameters."""

from fastmetro_mm.models.heads.mesh_head import FastMETROHead
from fastmetro_mm.models.heads.parametric_head import ParametricMeshHead
from fastmetro_mm.models.heads.smpl_head import SMPLRegressorHead

__all__ = ['FastMETROHead', 'ParametricMeshHead', 'SMPLRegressorHead']
