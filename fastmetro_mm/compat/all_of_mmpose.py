# SPDX-License-Identifier: Apache-2.0
"""Importing this module registers everything that mmpose has, as mmengine's own fallback does."""

from mmpose.utils import register_all_modules

register_all_modules(init_default_scope=False)
