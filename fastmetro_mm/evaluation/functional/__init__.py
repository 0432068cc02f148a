# SPDX-License-Identifier: Apache-2.0
"""Error measures on plain arrays, metres in, one number a sample out."""

from fastmetro_mm.evaluation.functional.curves import auc, pck, pck_curve
from fastmetro_mm.evaluation.functional.freihand import freihand_scores
from fastmetro_mm.evaluation.functional.joint_errors import mpjpe, mpvpe, pa_mpjpe, pa_mpvpe
from fastmetro_mm.evaluation.functional.motion import (
    acceleration,
    acceleration_error,
    foot_contact,
    foot_sliding,
    jitter,
)

__all__ = [
    'acceleration', 'acceleration_error', 'auc', 'foot_contact', 'foot_sliding', 'freihand_scores',
    'jitter', 'mpjpe', 'mpvpe', 'pa_mpjpe', 'pa_mpvpe', 'pck', 'pck_curve',
]  # fmt: skip
