# SPDX-License-Identifier: Apache-2.0
"""Error measures on plain arrays, metres in, one number a sample out."""

from fastmetro_mm.evaluation.functional.curves import auc, pck, pck_curve
from fastmetro_mm.evaluation.functional.freihand import freihand_scores
from fastmetro_mm.evaluation.functional.joint_errors import mpjpe, mpvpe, pa_mpjpe, pa_mpvpe
from fastmetro_mm.evaluation.functional.motion import acceleration_error

__all__ = [
    'acceleration_error',
    'auc',
    'freihand_scores',
    'mpjpe',
    'mpvpe',
    'pa_mpjpe',
    'pa_mpvpe',
    'pck',
    'pck_curve',
]
