# SPDX-License-Identifier: Apache-2.0
"""Backbones that mmpose does not have."""

from fastmetro_mm.models.backbones.fused_hrnet import FusedHRNet
from fastmetro_mm.models.backbones.hand_landmark import HandLandmark
from fastmetro_mm.models.backbones.movenet import MoveNet

__all__ = ['FusedHRNet', 'HandLandmark', 'MoveNet']
