# SPDX-License-Identifier: Apache-2.0
"""All activities and their shares."""

from collections.abc import Callable

import numpy as np

from fastmetro_mm.synthetic import daily_activities as daily
from fastmetro_mm.synthetic import sports_activities as sports
from fastmetro_mm.synthetic.activity import Activity

ACTIVITIES: dict[str, tuple[Callable[[np.random.Generator], Activity], float]] = {
    'arms_crossed': (daily.arms_crossed, 0.05),
    'hands_on_hips': (daily.hands_on_hips, 0.05),
    'hands_low': (daily.hands_low, 0.07),
    'phoning': (daily.phoning, 0.06),
    'at_the_face': (daily.at_the_face, 0.05),
    'holding': (daily.holding, 0.08),
    'at_a_table': (daily.at_a_table, 0.07),
    'floor_sitting': (daily.floor_sitting, 0.06),
    'kneeling': (daily.kneeling, 0.04),
    'riding_stance': (sports.riding_stance, 0.09),
    'cycling': (sports.cycling, 0.05),
    'throwing': (sports.throwing, 0.06),
    'swinging': (sports.swinging, 0.07),
    'fencing': (sports.fencing, 0.04),
    'climbing': (sports.climbing, 0.03),
    'on_all_fours': (sports.on_all_fours, 0.02),
    'lying': (daily.lying, 0.03),
    'inverted': (sports.inverted, 0.02),
    'acrobatics': (sports.acrobatics, 0.03),
    'together': (daily.together, 0.05),
}
"""Name to activity and share among the activities."""
