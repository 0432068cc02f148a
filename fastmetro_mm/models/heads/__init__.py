# SPDX-License-Identifier: Apache-2.0
"""Heads: from tokens to camera, joints, meshes and SMPL parameters."""

from .mesh_head import FastMETROHead
from .smpl_head import SMPLRegressorHead

__all__ = ['FastMETROHead', 'SMPLRegressorHead']
