# SPDX-License-Identifier: Apache-2.0
"""Backbones that mmpose does not have."""

from .fused_hrnet import FusedHRNet

__all__ = ['FusedHRNet']
