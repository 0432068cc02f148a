# SPDX-License-Identifier: Apache-2.0
"""Backbones that mmpose does not have."""

from fastmetro_mm.models.backbones.fused_hrnet import FusedHRNet

__all__ = ['FusedHRNet']
