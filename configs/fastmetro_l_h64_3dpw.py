# SPDX-License-Identifier: Apache-2.0
"""FastMETRO-L, HRNet-W64, fine-tuned on 3DPW.

Released weights: MPVPE 82.95, MPJPE 73.54, PA-MPJPE 44.58 mm (published)."""

from mmengine.config import read_base

with read_base():
    from ._base_.default_runtime import *
    from ._base_.fastmetro_l_h64 import *
    from ._base_.schedule_8e import *
    from ._base_.threedpw import *

# Start: the released Human3.6M weights, or a checkpoint of fastmetro_l_h64_h36m.
load_from = 'data/checkpoints/FastMETRO-L-H64_h36m_state_dict.bin'
