# SPDX-License-Identifier: Apache-2.0
"""Hooks of the training loop. Import from the full path, or from ``fastmetro_mm.engine``."""
