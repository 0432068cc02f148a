# SPDX-License-Identifier: Apache-2.0
"""Necks: from a feature map to camera, joint and vertex tokens."""

from fastmetro_mm.models.necks.keypoint_neck import KeypointNeck
from fastmetro_mm.models.necks.transformer_neck import FastMETRONeck

__all__ = ['FastMETRONeck', 'KeypointNeck']
