# SPDX-License-Identifier: Apache-2.0
"""Reports what this installation has and lacks: ``python -m fastmetro_mm.doctor``."""

from fastmetro_mm.doctor.report import Finding, examine

__all__ = ['Finding', 'examine']
