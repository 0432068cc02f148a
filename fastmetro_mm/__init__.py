# SPDX-License-Identifier: Apache-2.0
"""FastMETRO mesh recovery as a plugin for mmpose 1.x."""

from fastmetro_mm import compat

__version__ = '0.1.0'

# before anything of ours (or of the user) imports mmpose.models or mmdet
compat.apply()
