# SPDX-License-Identifier: Apache-2.0
"""FastMETRO-L, HRNet-W64, Human3.6M.

Released weights: MPJPE 52.96, PA-MPJPE 33.58 mm (published).
"""

from mmengine.config import read_base

with read_base():
    from ._base_.default_runtime import *
    from ._base_.fastmetro_l_h64 import *
    from ._base_.h36m_mixed import *
    from ._base_.schedule_60e import *
